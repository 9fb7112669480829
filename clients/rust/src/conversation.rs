//! One spoken question and its answer.

use std::time::Duration;

use prost::Message;
use serde_json::json;
use tokio::{sync::mpsc, time};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::parley::digitalhuman::{
    audio::v1::{AudioEncoding, AudioFormat},
    conversation::v1::{ConversationEvent, conversation_event::Event},
    speech::v1::{
        ConverseAudio, ConverseCommit, ConverseRequest, ConverseSetup, ReplyOutput, TurnDetection,
        converse_request::Request, converse_response::Response, speech_service_client::SpeechServiceClient,
    },
};
use crate::{Calls, failure::failure, tell};

const CHUNK_BYTES: usize = 3200; // 100 ms at 16 kHz
const CHUNK_TIME: Duration = Duration::from_millis(100);
const REOPEN_TIME: Duration = Duration::from_secs(1);

pub struct Conversation {
    speech: SpeechServiceClient<Calls>,
    setup: ConverseSetup,
    /// None once the question is part of the conversation: it need not be sent again.
    question: Option<Vec<u8>>,
    outcome: Result<(), Status>,
}

impl Conversation {
    pub fn new(speech: SpeechServiceClient<Calls>, task_id: String, pcm: Vec<u8>) -> Self {
        let setup = ConverseSetup {
            task_id,
            turn_detection: TurnDetection::Manual.into(),
            output: ReplyOutput::Avatar.into(),
            input_format: Some(AudioFormat {
                encoding: AudioEncoding::PcmS16le.into(),
                sample_rate_hertz: 16000,
                channel_count: 1,
            }),
            ..Default::default()
        };
        Self { speech, setup, question: Some(pcm), outcome: Err(Status::unknown("the question was not answered")) }
    }

    /// Asks, and listens to the answer. A server that goes away meanwhile is asked again once it is back:
    /// the stream goes on after the last event that came.
    pub async fn hold(mut self) -> Result<(), Status> {
        while let Err(error) = self.listen().await {
            // A connection that breaks is UNKNOWN to Rust's library.
            if !matches!(error.code(), Code::Unavailable | Code::Unknown) {
                return Err(error);
            }
            tell("reopening", failure(&error));
            time::sleep(REOPEN_TIME).await;
        }
        self.outcome
    }

    async fn listen(&mut self) -> Result<(), Status> {
        let (requests, receiver) = mpsc::channel(1);
        tokio::spawn(ask(requests, self.setup.clone(), self.question.clone()));
        let mut answers = self.speech.converse(ReceiverStream::new(receiver)).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            match answer.response {
                Some(Response::Ready(ready)) => {
                    self.setup.resume_after_sequence = Some(ready.last_sequence);
                    tell("ready", json!({"persona": ready.persona_id}));
                }
                Some(Response::Event(event)) => self.note(event),
                _ => {}
            }
        }
        Ok(())
    }

    fn note(&mut self, event: ConversationEvent) {
        self.setup.resume_after_sequence = Some(event.sequence);
        match event.event {
            Some(Event::TranscriptUpdated(transcript)) if transcript.is_final => {
                tell("transcript", json!({"text": transcript.text}));
            }
            Some(Event::TurnStarted(_)) => self.question = None,
            Some(Event::TurnFinished(turn)) => {
                tell("heard", json!({"text": turn.heard_text}));
                self.outcome = Ok(());
            }
            Some(Event::TurnFailed(turn)) => {
                let status = turn.status.unwrap_or_default();
                let details = status.encode_to_vec().into();
                self.outcome = Err(Status::with_details(status.code.into(), status.message, details));
            }
            _ => {} // New events come without a new version.
        }
    }
}

/// Sends the question as a microphone would; it ends where the stream breaks, which its reader is told.
async fn ask(requests: mpsc::Sender<ConverseRequest>, setup: ConverseSetup, question: Option<Vec<u8>>) {
    let send = async |step| requests.send(ConverseRequest { request: Some(step) }).await.is_ok();
    let mut is_open = send(Request::Setup(setup)).await;
    let Some(pcm) = question else { return };
    for part in pcm.chunks(CHUNK_BYTES) {
        is_open = is_open && send(Request::Audio(ConverseAudio { pcm: part.to_vec() })).await;
        time::sleep(CHUNK_TIME).await;
    }
    if is_open {
        send(Request::Commit(ConverseCommit {})).await;
    }
}
