"""Failures of calls as whoever makes them sees them, rather than as a service passes them on."""

import grpc

from services.runtime.failures.errors import ServiceError, answer_of, from_rpc_error


def told_by(error: grpc.aio.AioRpcError) -> ServiceError:
    """Return what a peer answered, or what gRPC's own failure means."""
    return answer_of(error) or from_rpc_error(error)
