"""Writes docs/errors.md, the catalogue of reasons, from the contracts."""

from pathlib import Path

from services.runtime.failures.reasons import RULES, Recovery

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

_HEAD = """\
# Errors

Every failure carries one reason. In gRPC it is the `reason` of the one `google.rpc.ErrorInfo` in
the status details, with domain `digitalhuman`; fields that break a rule are in `BadRequest`, and
how long to wait is in `RetryInfo`. Over HTTP the gateway answers `application/problem+json` with
`type` (`urn:digitalhuman:error:<reason>`), `title`, `status`, `detail`, `instance`, `reason`,
`recovery`, `code`, `requestId` and `violations`, and for clients of the vendor's sample
`success: false` and `error`. A caller that does not know a reason goes by the gRPC code or the
HTTP status.

This page is made by `make docs` from
[`errors.proto`](../protos/digitalhuman/errors/v1/errors.proto).

The last two columns are for callers that retry by themselves: whether the failure passes although
nobody changes anything, because an outage ends or a limit is free again (over HTTP, `recovery` is
`OUTAGE` or `LIMIT`), and whether what was refused surely did nothing.

| Reason | gRPC code | HTTP | What happened | What to do | Passes | Did nothing |
|---|---|---|---|---|---|---|
"""


_PASSES = {Recovery.NONE: "", Recovery.OUTAGE: "with the outage", Recovery.LIMIT: "after a wait"}


def page() -> str:
    """Return the text of the page."""
    rows = (
        f"| `{reason}` | {rule.code.name} | {rule.http_status} | {rule.title} | {rule.action}"
        f" | {_PASSES[rule.recovery]} | {'surely' if rule.has_no_effect else ''} |\n"
        for reason, rule in RULES.items()
    )
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
