"""Who may see and manage what belongs to a tenant as a whole, or to all tenants."""

from services.runtime.callers.caller import DEFAULT_TENANT, current_caller
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason


def whole_tenant() -> str:
    """Return the tenant of the current caller.

    Raises ServiceError with PERMISSION_DENIED for a caller who is limited to a user.
    """
    caller = current_caller()
    if caller.user_id:
        raise ServiceError(
            Reason.PERMISSION_DENIED, "The caller is limited to what belongs to one user."
        )
    return caller.tenant_id


def require_deployment() -> None:
    """Raise ServiceError with PERMISSION_DENIED for a caller who may not see all tenants."""
    if whole_tenant() != DEFAULT_TENANT:
        raise ServiceError(
            Reason.PERMISSION_DENIED, "Only the default tenant sees what belongs to all tenants."
        )
