//! Asks a digital human a spoken question over gRPC, and prints what happens as lines of JSON.

mod conversation;
mod failure;
#[allow(dead_code, clippy::all)]
mod parley {
    tonic::include_proto!("parley");
}
mod policy;

use std::{env, error::Error, fs, path::Path, process::ExitCode, time::Duration};

use conversation::Conversation;
use failure::failure;
use parley::digitalhuman::speech::v1::{ListPersonasRequest, speech_service_client::SpeechServiceClient};
use parley::digitalhuman::task::v1::{
    CreateTaskRequest, GetTaskRequest, StopTaskRequest, Task, TaskState, WatchTaskRequest, task_event,
    task_service_client::TaskServiceClient, watch_task_response::Update,
};
use policy::Policy;
use serde_json::{Value, json};
use tonic::metadata::AsciiMetadataValue;
use tonic::service::{Interceptor, interceptor::InterceptedService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use uuid::Uuid;

const SPEECH: &str = "digitalhuman.speech.v1.SpeechService";
const TASK: &str = "digitalhuman.task.v1.TaskService";

/// Shows the service token with every call.
#[derive(Clone)]
struct Credentials(AsciiMetadataValue);

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

type Calls = InterceptedService<Channel, Credentials>;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let wav = fs::read(env::args().nth(1).ok_or("usage: client question.wav")?)?;
    let credentials = Credentials(format!("Bearer {}", setting("PARLEY_SERVICE_TOKEN", "")).parse()?);
    let connect = |name, target| -> Result<Calls, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("http://{}", setting(name, target)))?;
        Ok(InterceptedService::new(endpoint.connect_lazy(), credentials.clone()))
    };
    let tasks = TaskServiceClient::new(connect("PARLEY_TASK", "127.0.0.1:50051")?);
    let speech = SpeechServiceClient::new(connect("PARLEY_SPEECH", "127.0.0.1:50052")?);
    let bundle = setting("PARLEY_PROTOS", "");
    let file = Path::new(&bundle).join("service_config.json");
    if !file.is_file() {
        eprintln!(
            "PARLEY_PROTOS is {bundle:?}, where no service_config.json is: set it to the folder of the unpacked bundle, which make protos-bundle packs"
        );
        return Ok(ExitCode::from(2));
    }
    let policy = Policy::read(&file)?;
    let limit = Duration::from_secs_f64(setting("PARLEY_DEADLINE_S", "120").parse()?);
    let Err(error) = run(tasks, speech, policy, wav, limit).await else { return Ok(ExitCode::SUCCESS) };
    tell("error", failure(&error));
    Ok(ExitCode::FAILURE)
}

async fn run(
    tasks: TaskServiceClient<Calls>,
    speech: SpeechServiceClient<Calls>,
    policy: Policy,
    wav: Vec<u8>,
    limit: Duration,
) -> Result<(), Status> {
    let list = async || speech.clone().list_personas(ListPersonasRequest::default()).await;
    for persona in policy.repeat(SPEECH, "ListPersonas", list).await?.personas {
        tell("persona", json!({"id": persona.persona_id}));
    }
    let task_id = open(&tasks, &policy).await?.task_id;
    tell("task", json!({"id": task_id}));
    let watched = tokio::spawn(watch(tasks.clone(), task_id.clone()));
    let data = wav.windows(4).position(|name| name == b"data").map_or(0, |at| at + 8);
    let conversation = Conversation::new(speech, task_id.clone(), wav[data..].to_vec());
    let talked = tokio::time::timeout(limit, conversation.hold()).await;
    // Whatever became of the conversation: an avatar on air costs money.
    let request = StopTaskRequest { task_id, ..Default::default() };
    let stop = async || tasks.clone().stop_task(request.clone()).await;
    policy.repeat(TASK, "StopTask", stop).await?;
    watched.await.map_err(|error| Status::unknown(error.to_string()))??;
    talked.unwrap_or_else(|_| Err(Status::deadline_exceeded("the conversation took too long")))
}

async fn open(tasks: &TaskServiceClient<Calls>, policy: &Policy) -> Result<Task, Status> {
    let found = if let Ok(task_id) = env::var("PARLEY_TASK_ID") {
        let request = GetTaskRequest { task_id, ..Default::default() };
        let get = async || tasks.clone().get_task(request.clone()).await;
        policy.repeat(TASK, "GetTask", get).await?.task
    } else {
        let stream_id = setting("PARLEY_STREAM_ID", &Uuid::new_v4().to_string());
        let request = CreateTaskRequest {
            request_id: Uuid::new_v4().to_string(),
            room_id: stream_id.clone(),
            stream_id,
            persona_id: setting("PARLEY_PERSONA", ""),
            ..Default::default()
        };
        let create = async || tasks.clone().create_task(request.clone()).await;
        policy.repeat(TASK, "CreateTask", create).await?.task
    };
    found.ok_or_else(|| Status::unknown("there is no task in the answer"))
}

/// Prints the states of the task until it has ended.
async fn watch(mut tasks: TaskServiceClient<Calls>, task_id: String) -> Result<(), Status> {
    let request = WatchTaskRequest { task_id, after_sequence: Some(0) };
    let mut updates = tasks.watch_task(request).await?.into_inner();
    while let Some(update) = updates.message().await? {
        if let Some(Update::Event(event)) = update.update
            && let Some(task_event::Event::StateChanged(changed)) = event.event
        {
            let state = changed.task.map_or(TaskState::Unspecified, |task| task.state());
            tell("state", json!({"state": state.as_str_name()}));
        }
    }
    Ok(())
}

fn setting(name: &str, otherwise: &str) -> String {
    env::var(name).unwrap_or_else(|_| otherwise.to_owned())
}

fn tell(event: &str, mut more: Value) {
    more["event"] = event.into();
    println!("{more}");
}
