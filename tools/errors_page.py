"""Writes docs/errors.md, the catalogue of reasons, from the contracts."""

from pathlib import Path

from services.runtime.reasons import RULES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

_HEAD = """\
# Errors

Every failure carries one reason. In gRPC it is the `reason` of the one `google.rpc.ErrorInfo` in
the status details, with domain `digitalhuman`; fields that break a rule are in `BadRequest`, and
how long to wait is in `RetryInfo`. Over HTTP the gateway answers `application/problem+json` with
`type` (`urn:digitalhuman:error:<reason>`), `title`, `status`, `detail`, `instance`, `reason`,
`code`, `requestId` and `violations`, and for clients of the vendor's sample `success: false` and
`error`. A caller that does not know a reason goes by the gRPC code or the HTTP status.

This page is made by `make docs` from
[`errors.proto`](../protos/digitalhuman/errors/v1/errors.proto).

| Reason | gRPC code | HTTP | What happened | What to do |
|---|---|---|---|---|
"""


def page() -> str:
    """The text of the page."""
    rows = (
        f"| `{reason}` | {rule.code.name} | {rule.http_status} | {rule.title} | {rule.action} |\n"
        for reason, rule in RULES.items()
    )
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
