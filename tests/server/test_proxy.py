"""The proxy stops with whatever goes through it."""

import asyncio

from kvstack.server.names import ServerNames
from kvstack.server.proxy import Proxy


def test_when_it_has_stopped_nobody_is_at_work_in_it_any_more() -> None:
    async def run() -> list[str]:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(hold, "127.0.0.1", 0)
        proxy = Proxy(ServerNames("localhost"), ("127.0.0.1", server.sockets[0].getsockname()[1]))
        port = await proxy.start(0)
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for reader, writer in connections:
            writer.write(b"CONNECT login.localhost:443 HTTP/1.1\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
        await proxy.stop()
        left = [str(task.get_coro()) for task in asyncio.all_tasks()]
        server.close()
        for _, writer in connections:
            writer.close()
        return [one for one in left if "Proxy" in one]

    assert asyncio.run(run()) == []
