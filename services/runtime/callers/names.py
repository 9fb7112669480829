"""Names of rooms and streams in the cloud, where the tenants of an account share one name space.

Those of the default tenant are as its callers choose them. Others begin with the tenant's id, so
that nobody can name what is another's: neither take its stream nor enter its room.
"""

from services.runtime.callers.caller import DEFAULT_TENANT, Caller
from services.runtime.failures.errors import invalid

TENANTS = "t__"
"""What names of tenants begin with; ids of tenants have no underscore."""
LONGEST_BYTES = 128


def in_cloud(name: str, caller: Caller, *, field: str) -> str:
    """Return a caller's name as the cloud knows it; one that is already so, or empty, stays so.

    Raises ServiceError with INVALID_REQUEST, which names the field.
    """
    if not name:
        return ""
    is_default = caller.tenant_id == DEFAULT_TENANT
    beginning = "" if is_default else f"{TENANTS}{caller.tenant_id}__"
    own = name.removeprefix(beginning)
    if own.startswith(TENANTS):
        raise invalid(field, "reserved", f"must not begin with {TENANTS}")
    longest = LONGEST_BYTES - len(beginning)
    if len(own.encode()) > longest:
        raise invalid(field, "max_bytes", f"must be at most {longest} bytes in this tenant")
    return beginning + own
