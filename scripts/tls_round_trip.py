"""A real TLS server with a certificate from the vault, and two clients: `SERVER.pem CA.pem NAME`."""

import socket
import ssl
import sys
import threading


def main() -> int:
    """Serve two connections on a port of the system's choosing: one client trusts the authority, the other nobody."""
    server_file, authority_file, name = sys.argv[1:4]
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(server_file)
    trusting = ssl.create_default_context(cafile=authority_file)
    distrustful = ssl.create_default_context(cadata=None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = threading.Thread(target=_served, args=(listener, serving, 2), daemon=True)
        server.start()
        with _connected(trusting, port, name) as connection:
            said = connection.recv(64).decode()
            issuer = dict(part[0] for part in connection.getpeercert()["issuer"])["commonName"]
            print(f"{connection.version()}: {name} is who it says, by {issuer}; it said {said!r}")
        try:
            _connected(distrustful, port, name).close()
        except ssl.SSLCertVerificationError as error:
            print(f"who does not trust the authority is not fooled: {error.verify_message}")
        else:
            print("a client that trusts nobody has accepted the certificate")
            return 1
        server.join(10)
    return 0


def _served(listener: socket.socket, context: ssl.SSLContext, count: int) -> None:
    for _ in range(count):
        plain, _address = listener.accept()
        try:
            with context.wrap_socket(plain, server_side=True) as connection:
                connection.sendall(b"hello")
        except OSError:
            continue  # the client that trusts nobody hangs up


def _connected(context: ssl.SSLContext, port: int, name: str) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10), server_hostname=name)


if __name__ == "__main__":
    sys.exit(main())
