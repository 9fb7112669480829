"""The services, and what they run on."""

import os

# gRPC's core logs whatever peers send that is not gRPC, and quotes some of it as it is: bytes that
# a terminal would obey, and as many lines as anybody likes. It reads this when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# Pydantic would look for plugins among all that is installed: 7 ms of each start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
