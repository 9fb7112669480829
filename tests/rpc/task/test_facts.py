"""What is known of a call: kept with its task, changed while it runs, gone with what was said."""

import uuid

import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.failures.reasons import Reason
from tests.support.task import ScriptedCloud
from tests.support.task_calls import create, error_of, stop

SHOW = {"name": "show", "description": "Shows."}
VARIABLES = pb.CallVariables(values={"name": "Ada", "plan": "Gold"})


async def facts_of(tasks: TaskServiceStub, task_id: str) -> pb.CallFacts:
    """Return what is known of a call."""
    request = pb.GetTaskRequest(task_id=task_id, with_facts=True)
    return (await tasks.GetTask(request)).facts


async def update(tasks: TaskServiceStub, task_id: str, facts: pb.CallFacts) -> pb.Task:
    """Change what is known of a call."""
    return (await tasks.UpdateTask(pb.UpdateTaskRequest(task_id=task_id, facts=facts))).task


async def test_what_is_present_changes_and_the_rest_stays(tasks: TaskServiceStub) -> None:
    known = pb.CallFacts(variables=VARIABLES, context="On the order page.", greeting="Hi, {{name}}")
    made = await create(tasks, facts=known)
    assert await facts_of(tasks, made.task_id) == known
    news = pb.CallFacts(
        variables=pb.CallVariables(values={"name": "Eve"}),
        greeting="",
        greeting_interruptible=False,
    )
    await update(tasks, made.task_id, news)
    assert await facts_of(tasks, made.task_id) == pb.CallFacts(
        variables=pb.CallVariables(values={"name": "Eve"}),
        context="On the order page.",
        greeting="",
        greeting_interruptible=False,
    )
    await update(tasks, made.task_id, pb.CallFacts(variables=pb.CallVariables()))
    assert not (await facts_of(tasks, made.task_id)).variables.values


async def test_a_call_without_facts_gets_some(tasks: TaskServiceStub) -> None:
    made = await create(tasks)
    assert await facts_of(tasks, made.task_id) == pb.CallFacts()
    await update(tasks, made.task_id, pb.CallFacts(voice_id="anna"))
    assert (await facts_of(tasks, made.task_id)).voice_id == "anna"


async def test_only_who_asks_for_the_facts_is_told(tasks: TaskServiceStub) -> None:
    made = await create(tasks, facts=pb.CallFacts(context="Secret."))
    answer = await tasks.GetTask(pb.GetTaskRequest(task_id=made.task_id))
    assert not answer.HasField("facts")
    listed = await tasks.ListTasks(pb.ListTasksRequest())
    assert "Secret." not in str(listed)


async def test_facts_go_with_what_was_said(tasks: TaskServiceStub) -> None:
    made = await create(tasks, facts=pb.CallFacts(context="Secret."))
    await stop(tasks, made.task_id)
    await tasks.DeleteConversation(pb.DeleteConversationRequest(task_id=made.task_id))
    assert await facts_of(tasks, made.task_id) == pb.CallFacts()
    late = update(tasks, made.task_id, pb.CallFacts(context="Again."))
    assert (await error_of(late)).reason is Reason.TASK_ENDED


async def test_the_same_request_with_other_facts_is_another_request(
    tasks: TaskServiceStub,
) -> None:
    request_id = str(uuid.uuid4())
    first = await create(tasks, request_id=request_id, facts=pb.CallFacts(variables=VARIABLES))
    again = await create(tasks, request_id=request_id, facts=pb.CallFacts(variables=VARIABLES))
    assert again.task_id == first.task_id
    other = create(tasks, request_id=request_id, facts=pb.CallFacts(context="Other."))
    assert (await error_of(other)).reason is Reason.REQUEST_ID_REUSED


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        (
            {"variables": {"values": {f"name{number}": "" for number in range(33)}}},
            "facts.variables.values",
        ),
        ({"variables": {"values": {"Name": ""}}}, "facts.variables.values"),
        ({"variables": {"values": {"name": "one\ntwo"}}}, "facts.variables.values"),
        ({"variables": {"values": {"name": "x" * 501}}}, "facts.variables.values"),
        ({"context": "x" * 2001}, "facts.context"),
        ({"greeting": "x" * 1001}, "facts.greeting"),
        ({"voice_id": "x" * 65}, "facts.voice_id"),
        ({"hot_words": {"words": ["x"] * 101}}, "facts.hot_words.words"),
        ({"hot_words": {"words": ["x" * 51]}}, "facts.hot_words.words[0]"),
        ({"hot_words": {"words": [""]}}, "facts.hot_words.words[0]"),
        ({"tools": {"names": ["show product"]}}, "facts.tools.names[0]"),
        ({"tools": {"names": ["show"] * 33}}, "facts.tools.names"),
        ({"client_tools": {"tools": [SHOW, SHOW]}}, "facts.client_tools.tools[1].name"),
        ({"client_tools": {"tools": [{"name": "x"}]}}, "facts.client_tools.tools[0].description"),
        (
            {"client_tools": {"tools": [SHOW | {"parameters": '{"type": "object", "$ref": "#"}'}]}},
            "facts.client_tools.tools[0].parameters",
        ),
        ({"history": {"messages": [{"text": "Hi"}]}}, "facts.history.messages[0].speaker"),
        ({"history": {"messages": [{"speaker": 1}]}}, "facts.history.messages[0].text"),
        (
            {"history": {"messages": [{"speaker": 1, "text": "x"}] * 33}},
            "facts.history.messages",
        ),
        ({"history": {"task_id": "task_unknown"}}, "facts.history.task_id"),
    ],
)
async def test_facts_are_checked_before_anything_is_ordered(
    tasks: TaskServiceStub, cloud: ScriptedCloud, facts: dict[str, object], field: str
) -> None:
    error = await error_of(create(tasks, facts=pb.CallFacts(**facts)))  # type: ignore[arg-type]
    assert error.reason is Reason.INVALID_REQUEST
    assert [each.field for each in error.violations] == [field]
    assert not cloud.running
    assert not (await tasks.ListTasks(pb.ListTasksRequest())).tasks


async def test_functions_of_the_app_replace_those_before(tasks: TaskServiceStub) -> None:
    show, hide = (pb.ClientTool(name=each, description="Does.") for each in ("show", "hide"))
    made = await create(tasks, facts=pb.CallFacts(client_tools=pb.ClientTools(tools=[show])))
    await update(tasks, made.task_id, pb.CallFacts(client_tools=pb.ClientTools(tools=[hide])))
    assert (await facts_of(tasks, made.task_id)).client_tools.tools == [hide]
    again = update(
        tasks, made.task_id, pb.CallFacts(client_tools=pb.ClientTools(tools=[hide, hide]))
    )
    assert (await error_of(again)).violations[0].field == "facts.client_tools.tools[1].name"


async def test_the_history_of_a_call_that_has_begun_is_fixed(tasks: TaskServiceStub) -> None:
    earlier = await create(tasks, "earlier")
    made = await create(tasks, facts=pb.CallFacts(history=pb.CallHistory(task_id=earlier.task_id)))
    assert (await facts_of(tasks, made.task_id)).history.task_id == earlier.task_id
    news = update(tasks, made.task_id, pb.CallFacts(history=pb.CallHistory(task_id=made.task_id)))
    error = await error_of(news)
    assert (error.reason, error.violations[0].field) == (Reason.INVALID_REQUEST, "facts")
