"""The endpoints of operators: what tasks cost, and what should not be running."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse
from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.task.v1 import task_pb2 as pb
from gateway.backend.services import Backend
from gateway.contract.constraints import constraints
from gateway.contract.content_type import requires_json
from gateway.contract.fields import Day
from gateway.contract.openapi import failures
from gateway.contract.parameters import requires_single
from gateway.contract.problems import refused
from gateway.contract.usage import (
    CSV,
    Findings,
    ReconcileBody,
    UsageReport,
    from_finding,
    from_usage_row,
    to_csv,
)
from services.runtime.failures.reasons import Reason
from services.runtime.limits import LONGEST_REPORT_DAYS

GROUPINGS = {"user": pb.USAGE_GROUPING_USER, "task": pb.USAGE_GROUPING_TASK}
LARGEST_PAGE = 1000
LAST_DAY = date.max - timedelta(days=1)


class UsageRoutes:
    """Reports what tasks cost, and settles what differs from what should be."""

    def __init__(self, *, backend: Backend) -> None:
        self._backend = backend

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(
            prefix="/api/digital-human",
            tags=["operations"],
            dependencies=[Depends(requires_single)],
        )
        router.get(
            "/usage",
            summary="Report what tasks cost",
            response_model=UsageReport,
            response_model_exclude_none=True,
            responses={
                200: {"content": {CSV: {"schema": {"type": "string"}}}},
                **failures(Reason.INVALID_REQUEST),
            },
        )(self.report)
        router.post(
            "/reconcile",
            summary="Compare tasks with the cloud",
            response_model_exclude_none=True,
            dependencies=[Depends(requires_json)],
            responses=failures(
                Reason.MEDIA_TYPE_UNSUPPORTED,
                Reason.CLOUD_UNREACHABLE,
                Reason.DEPENDENCY_UNAVAILABLE,
            ),
        )(self.reconcile)
        return router

    async def report(
        self,
        first: Annotated[
            Day | None,
            Query(alias="from", description="First day, in UTC; default: the month's first."),
        ] = None,
        last: Annotated[
            Day | None,
            Query(alias="to", description="Last day, in UTC; default: today."),
        ] = None,
        group_by: Annotated[
            Literal["user", "task"],
            Query(alias="groupBy", description="Rows per user and day, or per task still kept."),
        ] = "user",
        user_id: Annotated[
            str,
            Query(alias="userId", json_schema_extra=constraints(pb.ListUsageRequest, "user_id")),
        ] = "",
        page_size: Annotated[int, Query(alias="pageSize", ge=1, le=LARGEST_PAGE)] = 100,
        page_token: Annotated[
            str,
            Query(
                alias="pageToken", json_schema_extra=constraints(pb.ListUsageRequest, "page_token")
            ),
        ] = "",
        format: Annotated[
            Literal["json", "csv"] | None,
            Query(description="CSV has all pages; default: what `Accept` asks for."),
        ] = None,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:
        """Return what tasks cost by the day of their creation."""
        start, end = _days(first, last)
        request = pb.ListUsageRequest(
            start_time=_midnight(start),
            end_time=_midnight(end + timedelta(days=1)),
            user_id=user_id,
            group_by=GROUPINGS[group_by],
            page_size=page_size,
            page_token=page_token,
        )
        is_csv = format == "csv" or (format is None and CSV in accept)
        if is_csv:
            request.page_size = LARGEST_PAGE
        page = await self._backend.ask(self._backend.task.ListUsage, request)
        if is_csv:
            return StreamingResponse(
                self._csv(request, page),
                media_type=CSV,
                headers={"Content-Disposition": 'attachment; filename="usage.csv"'},
            )
        report = UsageReport(
            rows=[from_usage_row(row) for row in page.rows],
            next_page_token=page.next_page_token or None,
        )
        return JSONResponse(report.to_json())

    async def reconcile(self, body: ReconcileBody) -> Findings:
        """Return what differs between the tasks and what the cloud runs; settle it unless dry."""
        found = await self._backend.ask(
            self._backend.task.Reconcile, pb.ReconcileRequest(dry_run=body.dry_run)
        )
        return Findings(findings=[from_finding(each) for each in found.findings])

    async def _csv(
        self, request: pb.ListUsageRequest, page: pb.ListUsageResponse
    ) -> AsyncIterator[str]:
        yield to_csv(map(from_usage_row, page.rows), has_header=True)
        while page.next_page_token:
            request.page_token = page.next_page_token
            page = await self._backend.ask(self._backend.task.ListUsage, request)
            yield to_csv(map(from_usage_row, page.rows), has_header=False)


def _days(first: date | None, last: date | None) -> tuple[date, date]:
    """Return the first and the last day of a report.

    Raises ServiceError with INVALID_REQUEST about a parameter that was given.
    """
    end = last or datetime.now(UTC).date()
    if end > LAST_DAY:
        raise refused(Reason.INVALID_REQUEST, "to", "maximum", f"must not be after {LAST_DAY}")
    start = first or end.replace(day=1)
    if start > end:
        if last is None:
            field, description = "from", "must not be after today unless `to` is given"
        else:
            field, description = "to", "must not be before `from`"
        raise refused(Reason.INVALID_REQUEST, field, "date.order", description)
    if (end - start).days >= LONGEST_REPORT_DAYS:
        field = "from" if last is None else "to"
        description = (
            f"must make a report of at most {LONGEST_REPORT_DAYS} days, both ends included"
        )
        raise refused(Reason.INVALID_REQUEST, field, "date.window", description)
    return start, end


def _midnight(day: date) -> Timestamp:
    """Return the beginning of a day in UTC."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime.combine(day, time(), UTC))
    return stamp
