"""What a browser does at the portal, and how its pages are read: by a parser, as a browser reads them."""

from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urlencode

from tests.server.identity.person import Browser, Page, Person
from tests.server.served import Served

COOKIE = "__Host-kvstack-portal"
_VOID = {"meta", "link", "input"}


class Node(NamedTuple):
    """One element. inside: the elements around it, the outermost first; text: all that is in it."""

    tag: str
    attributes: dict[str, str]
    inside: tuple["Node", ...]
    texts: list[str]

    @property
    def text(self) -> str:
        """What can be read in it."""
        return " ".join("".join(self.texts).split())


class Read(HTMLParser):
    """A page, taken apart. Raises AssertionError for elements that are not closed in order."""

    def __init__(self, page: Page) -> None:
        super().__init__(convert_charrefs=True)
        self.page = page
        self.nodes: list[Node] = []
        self._open: list[Node] = []
        self.feed(page.text)
        self.close()
        assert not self._open, [node.tag for node in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs}, tuple(self._open), [])
        assert len(node.attributes) == len(attrs), f"an attribute twice: {attrs}"
        self.nodes.append(node)
        if tag not in _VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for node in self._open:
            node.texts.append(data)

    def all(self, tag: str) -> list[Node]:
        """The elements of one kind."""
        return [node for node in self.nodes if node.tag == tag]

    @property
    def text(self) -> str:
        """What can be read in the page's own part."""
        (main,) = self.all("main")
        return main.text

    @property
    def links(self) -> list[str]:
        """Where its links lead."""
        return [node.attributes["href"] for node in self.all("a")]

    def fields(self, action: str) -> dict[str, str]:
        """What the form that leads there holds by itself."""
        (form,) = {id(node): node for node in self.all("form") if node.attributes["action"] == action}.values()
        return {
            node.attributes["name"]: node.attributes["value"]
            for node in self.all("input")
            if node.attributes["type"] == "hidden" and any(one is form for one in node.inside)
        }


class PortalBrowser(Browser):
    """A browser without JavaScript at the portal's host."""

    def __init__(self, served: Served) -> None:
        super().__init__(f"portal.localhost:{served.port}", str(served.authority))

    def sign_in(self, person: Person, *, to: str = "/portal", code: str = "") -> Page:
        """Fill in the form and send it."""
        page = self.get(f"/portal/sign-in?{urlencode({'to': to})}")
        assert page.status == 200, page
        fields = Read(page).fields("/portal/sign-in")
        return self.send("/portal/sign-in", fields | person.fields | ({"code": code} if code else {}))

    def read(self, path: str) -> Read:
        """Show a page that has to be there."""
        page = self.get(path)
        assert page.status == 200, page
        return Read(page)

    @property
    def token(self) -> str:
        """What the forms of this session bring back."""
        return self.read("/portal/access").fields("/portal/sign-out")["token"]

    def submit(self, path: str, *fields: tuple[str, str], **headers: str) -> Page:
        """Send a form of this session."""
        given = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"https://{self.host}"}
        body = urlencode([("token", self.token), *fields]).encode()
        return self._asked("POST", path, given | headers, body)
