package example;

import com.digitalhuman.audio.v1.AudioEncoding;
import com.digitalhuman.audio.v1.AudioFormat;
import com.digitalhuman.conversation.v1.ConversationEvent;
import com.digitalhuman.speech.v1.ConverseAudio;
import com.digitalhuman.speech.v1.ConverseCommit;
import com.digitalhuman.speech.v1.ConverseRequest;
import com.digitalhuman.speech.v1.ConverseResponse;
import com.digitalhuman.speech.v1.ConverseSetup;
import com.digitalhuman.speech.v1.ReplyOutput;
import com.digitalhuman.speech.v1.SpeechServiceGrpc.SpeechServiceStub;
import com.digitalhuman.speech.v1.TurnDetection;
import com.google.protobuf.ByteString;
import io.grpc.Deadline;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;

/**
 * Asks one question and listens to the answer. A server that goes away meanwhile is asked again once
 * it is back: the stream goes on after the last event that came.
 */
final class Conversation {
  private static final int CHUNK_BYTES = 3200; // 100 ms at 16 kHz
  private static final long CHUNK_MS = 100;
  private static final long REOPEN_MS = 1000;

  private final SpeechServiceStub speech;
  private final ByteString pcm;
  private final ConverseSetup.Builder setup;
  /** Then the question is part of the conversation: it need not be sent again. */
  private boolean isTaken;
  /** Why there is no answer; null once it was heard. */
  private StatusRuntimeException missing =
      Status.UNKNOWN.withDescription("the question was not answered").asRuntimeException();

  Conversation(SpeechServiceStub speech, String taskId, byte[] wav) {
    this.speech = speech;
    int header = new String(wav, StandardCharsets.ISO_8859_1).indexOf("data") + 8;
    pcm = ByteString.copyFrom(wav, header, wav.length - header);
    setup =
        ConverseSetup.newBuilder()
            .setTaskId(taskId)
            .setTurnDetection(TurnDetection.TURN_DETECTION_MANUAL)
            .setOutput(ReplyOutput.REPLY_OUTPUT_AVATAR)
            .setInputFormat(
                AudioFormat.newBuilder()
                    .setEncoding(AudioEncoding.AUDIO_ENCODING_PCM_S16LE)
                    .setSampleRateHertz(16000)
                    .setChannelCount(1));
  }

  /** Returns when the answer was heard; throws StatusRuntimeException if there is none in time. */
  void hold(double limitSeconds) throws InterruptedException {
    var deadline = Deadline.after((long) (limitSeconds * 1e9), TimeUnit.NANOSECONDS);
    while (true) {
      var ended = new CompletableFuture<Void>();
      var requests = speech.withDeadline(deadline).withWaitForReady().converse(listener(ended));
      ask(requests, ended);
      try {
        ended.join();
        break;
      } catch (CompletionException broken) {
        var error = (StatusRuntimeException) broken.getCause();
        if (error.getStatus().getCode() != Status.Code.UNAVAILABLE) {
          throw error;
        }
        Client.tell("reopening", Client.failure(StatusProto.fromThrowable(error)));
        Thread.sleep(REOPEN_MS);
      }
    }
    if (missing != null) {
      throw missing;
    }
  }

  /** Sends the question as a microphone would, as long as the stream holds. */
  private void ask(StreamObserver<ConverseRequest> requests, CompletableFuture<Void> ended)
      throws InterruptedException {
    boolean isAsked = isTaken;
    requests.onNext(ConverseRequest.newBuilder().setSetup(setup).build());
    for (int at = 0; at < pcm.size() && !isAsked && !ended.isDone(); at += CHUNK_BYTES) {
      var part = pcm.substring(at, Math.min(at + CHUNK_BYTES, pcm.size()));
      var audio = ConverseAudio.newBuilder().setPcm(part);
      requests.onNext(ConverseRequest.newBuilder().setAudio(audio).build());
      Thread.sleep(CHUNK_MS);
    }
    if (!isAsked) {
      var commit = ConverseCommit.getDefaultInstance();
      requests.onNext(ConverseRequest.newBuilder().setCommit(commit).build());
    }
    requests.onCompleted();
  }

  private StreamObserver<ConverseResponse> listener(CompletableFuture<Void> ended) {
    return new StreamObserver<>() {
      @Override
      public void onNext(ConverseResponse answer) {
        if (answer.hasReady()) {
          setup.setResumeAfterSequence(answer.getReady().getLastSequence());
          Client.tell("ready", Map.of("persona", answer.getReady().getPersonaId()));
        } else if (answer.hasEvent()) {
          setup.setResumeAfterSequence(answer.getEvent().getSequence());
          note(answer.getEvent());
        }
      }

      @Override
      public void onError(Throwable error) {
        ended.completeExceptionally(error);
      }

      @Override
      public void onCompleted() {
        ended.complete(null);
      }
    };
  }

  private void note(ConversationEvent event) {
    switch (event.getEventCase()) {
      case TRANSCRIPT_UPDATED -> {
        if (event.getTranscriptUpdated().getIsFinal()) {
          Client.tell("transcript", Map.of("text", event.getTranscriptUpdated().getText()));
        }
      }
      case TURN_STARTED -> isTaken = true;
      case TURN_FINISHED -> {
        Client.tell("heard", Map.of("text", event.getTurnFinished().getHeardText()));
        missing = null;
      }
      case TURN_FAILED ->
          missing = StatusProto.toStatusRuntimeException(event.getTurnFailed().getStatus());
      default -> {} // New events come without a new version.
    }
  }
}
