"""What the environment has of credentials: the account, API keys, the secret of callbacks."""

from collections.abc import Iterator, Mapping

from parley.doctor.finding import judged
from parley.plan.environment import CALLBACK_SECRETS, FILE_SUFFIX, uses_engine
from services.runtime.check import Finding, Verdict
from services.runtime.settings.values import split_list


def credentials(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Report which account is used, and whether API keys are set; never a value of theirs."""
    if uses_engine(environment):
        account = "none: the engine stands in for the cloud"
    else:
        account = "set: the cloud's"
    yield Finding(subject="account", verdict=Verdict.FINE, found=account)
    is_open = not (environment.get("GATEWAY_API_KEYS") or environment.get("GATEWAY_API_KEYS_FILE"))
    yield Finding(subject="api keys", verdict=Verdict.FINE, found="none" if is_open else "set")


def callbacks(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Report whether the callbacks of the cloud, or of the engine, will be accepted."""
    checks, signs = (_value(name, environment) for name in CALLBACK_SECRETS)
    if not uses_engine(environment):
        yield Finding(
            subject="callbacks",
            verdict=Verdict.FINE if checks else Verdict.WARNING,
            found="verified" if checks else "refused: CALLBACK_SECRET is not set",
            remedy=""
            if checks
            else "Set it as in the vendor's console, to confirm what was played.",
        )
        return
    # Of several secrets the first signs, and any is accepted.
    agree = not (checks and signs) or set(split_list(signs)[:1]) <= set(split_list(checks))
    yield judged(
        "callbacks",
        agree,
        "verified" if agree else "refused: the engine signs with another secret",
        f"Unset {CALLBACK_SECRETS[1]}, or set it as {CALLBACK_SECRETS[0]}.",
    )


def _value(name: str, environment: Mapping[str, str]) -> str:
    """Return a secret, or the name of the file that holds it."""
    return environment.get(name) or environment.get(f"{name}{FILE_SUFFIX}") or ""
