"""Serves a tool that a persona calls, and asks the question that it is for.

The language model has to be able to call tools; the embedded one is not.

SPEECH_CHAT=openai OPENAI_API_KEY=… SPEECH_PERSONAS=examples/personas \\
SPEECH_DEFAULT_PERSONA=shopkeeper make up                           in one terminal
python examples/own_tool.py 9010                                    in another
"""

import json
import os
import secrets
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

URL = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
KEY = {"X-Api-Key": os.environ["PARLEY_KEY"]} if "PARLEY_KEY" in os.environ else {}
ORDERS = {"4729": "out for delivery, and arrives today"}


class Tool(BaseHTTPRequestHandler):
    """Tells where an order is; examples/personas/shopkeeper.toml describes it to the model."""

    def do_POST(self) -> None:
        # The arguments fit the tool's schema: Parley has checked them.
        arguments = json.loads(self.rfile.read(int(self.headers["content-length"])))
        print("called with", arguments, flush=True)
        state = ORDERS.get(arguments["number"], "unknown")
        body = json.dumps({"number": arguments["number"], "state": state}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


def ask(question: str) -> None:
    """Ask in a call of its own, and print what was heard of the answer."""
    name = secrets.token_hex(8)
    order = {"roomId": name, "streamId": name, "personaId": "shopkeeper", "greeting": ""}
    with httpx.Client(base_url=f"{URL}/api/digital-human", headers=KEY, timeout=120) as parley:
        created = parley.post("/create-task", json=order).raise_for_status().json()
        task = {"taskId": created["taskId"]}
        try:
            answer = parley.post("/talk-to-ai", json={**task, "text": question})
            print(answer.raise_for_status().json()["heard"])
        finally:
            parley.post("/stop-task", json=task).raise_for_status()


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Tool) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            ask("Where is order 4729?")
        except httpx.HTTPStatusError as refusal:
            sys.exit(f"Parley refuses: {refusal.response.json()['detail']}")
        except httpx.HTTPError as error:
            sys.exit(f"Parley at {URL} does not answer: {error}")
        except KeyboardInterrupt:
            sys.exit(130)
        finally:
            server.shutdown()
