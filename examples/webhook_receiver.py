"""Receives webhooks of Parley: checks who signed them, takes each event once, and prints it.

WEBHOOK_SECRET=whsec_… python examples/webhook_receiver.py 9000
"""

import base64
import hmac
import json
import os
import sys
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
seen: set[str] = set()


def is_genuine(headers: Message, body: bytes) -> bool:
    """Return whether a message was signed by our key, and not long ago."""
    sent_at = headers.get("webhook-timestamp", "")
    content = f"{headers.get('webhook-id')}.{sent_at}.".encode() + body
    expected = b"v1," + base64.b64encode(hmac.digest(KEY, content, "sha256"))
    given = headers.get("webhook-signature", "").encode().split()
    is_recent = sent_at.isdecimal() and abs(time.time() - int(sent_at)) < 300
    return is_recent and any(hmac.compare_digest(expected, each) for each in given)


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what is genuine, also if it comes again, and 401 to everything else."""

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        body = self.rfile.read(int(length) if length.isdecimal() else 0)
        is_ours = is_genuine(self.headers, body)
        if is_ours and self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            event = json.loads(body)
            print(event["type"], event.get("taskId"), json.dumps(event["data"]), flush=True)
        self.send_response(204 if is_ours else 401)
        self.end_headers()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
