"""`python -m kvstack.hsm.isolated`: started by kvstack itself, with the ends of its sockets."""

import sys

from kvstack.hsm.isolated.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
