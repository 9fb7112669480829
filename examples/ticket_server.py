"""A web server whose signed-in users talk with a digital human on its page: no browser holds a key.

GATEWAY_API_KEYS=… GATEWAY_ALLOWED_ORIGINS=http://127.0.0.1:9020 make up     in one terminal
PARLEY_KEY=… python examples/ticket_server.py 9020                         in another: the same key
"""

import html
import os
import secrets
import sys
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx

URL = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
# A key of role `server`: it mints tickets, and sees what its users do. It stays here.
KEY = {"Authorization": f"Bearer {os.environ['PARLEY_KEY']}"}
PASSWORDS = {"ada": "lovelace"}
users: dict[str, str] = {}
"""Who is signed in, by session; a server of yours has its own way to know."""

SIGN_IN = """<form method="post" action="/sign-in"><input name="user" placeholder="User">
<input name="password" type="password" placeholder="Password"><button>Sign in</button></form>"""
TALK = f"""<p>Hello %s.</p><parley-avatar mode="floating" ticket-url="/ticket"></parley-avatar>
<script src="{URL}/clients/v1/parley.js" async></script>"""


class Server(BaseHTTPRequestHandler):
    """Signs users in, and asks Parley for tickets in their name."""

    def do_GET(self) -> None:
        user = self._user()
        self._answer(200, TALK % html.escape(user) if user else SIGN_IN, "text/html")

    def do_POST(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/sign-in":
            self._sign_in()
        elif address.path == "/ticket" and (user := self._user()):
            # A further ticket of a call is for its task; Parley sees that it is the user's.
            task_id = parse_qs(address.query).get("taskId", [""])[0]
            wish = {"userId": user, "taskId": task_id, "expiresInSeconds": 60}
            answer = httpx.post(f"{URL}/api/digital-human/tickets", json=wish, headers=KEY)
            self._answer(answer.status_code, answer.text, "application/json")
        else:
            self._answer(401, "Sign in first.", "text/plain")

    def _sign_in(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        user, password = (form.get(name, [""])[0] for name in ("user", "password"))
        if user not in PASSWORDS or not secrets.compare_digest(PASSWORDS[user], password):
            return self._answer(401, SIGN_IN, "text/html")
        session = secrets.token_urlsafe()
        users[session] = user
        cookie = f"session={session}; HttpOnly; SameSite=Strict"
        self._answer(303, "", "text/plain", location="/", set_cookie=cookie)

    def _user(self) -> str:
        session = SimpleCookie(self.headers.get("cookie", "")).get("session")
        return users.get(session.value, "") if session else ""

    def _answer(self, status: int, body: str, media_type: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", f"{media_type}; charset=utf-8")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body.encode())


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Server)
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
