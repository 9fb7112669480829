package example;

import com.digitalhuman.speech.v1.ListPersonasRequest;
import com.digitalhuman.speech.v1.SpeechServiceGrpc;
import com.digitalhuman.task.v1.CreateTaskRequest;
import com.digitalhuman.task.v1.GetTaskRequest;
import com.digitalhuman.task.v1.StopTaskRequest;
import com.digitalhuman.task.v1.Task;
import com.digitalhuman.task.v1.TaskServiceGrpc;
import com.digitalhuman.task.v1.TaskServiceGrpc.TaskServiceBlockingStub;
import com.digitalhuman.task.v1.WatchTaskRequest;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.Code;
import com.google.rpc.ErrorInfo;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/** Asks a digital human a spoken question over gRPC, and prints what happens as lines of JSON. */
public final class Client {
  private static final Gson JSON = new GsonBuilder().disableHtmlEscaping().create();

  public static void main(String[] arguments) throws Exception {
    try {
      run(Files.readAllBytes(Path.of(arguments[0])));
    } catch (StatusRuntimeException error) {
      tell("error", failure(StatusProto.fromThrowable(error)));
      System.exit(1);
    }
    System.exit(0);
  }

  private static void run(byte[] wav) throws Exception {
    var tasks = TaskServiceGrpc.newBlockingStub(connect(setting("PARLEY_TASK", "127.0.0.1:50051")));
    var speechChannel = connect(setting("PARLEY_SPEECH", "127.0.0.1:50052"));
    SpeechServiceGrpc.newBlockingStub(speechChannel)
        .listPersonas(ListPersonasRequest.getDefaultInstance())
        .getPersonasList()
        .forEach(persona -> tell("persona", Map.of("id", persona.getPersonaId())));
    String taskId = open(tasks).getTaskId();
    tell("task", Map.of("id", taskId));
    var watched = CompletableFuture.runAsync(() -> watch(tasks, taskId));
    try {
      var conversation = new Conversation(SpeechServiceGrpc.newStub(speechChannel), taskId, wav);
      conversation.hold(Double.parseDouble(setting("PARLEY_DEADLINE_S", "120")));
    } finally {
      // Whatever became of the conversation: an avatar on air costs money.
      tasks.stopTask(StopTaskRequest.newBuilder().setTaskId(taskId).build());
      watched.join();
    }
  }

  /** Opens a channel with the policy that comes with the protos: retries, timeouts, patience. */
  private static ManagedChannel connect(String target) {
    var headers = new Metadata();
    headers.put(
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER),
        "Bearer " + System.getenv("PARLEY_SERVICE_TOKEN"));
    @SuppressWarnings("unchecked")
    Map<String, ?> config = JSON.fromJson(policy(), Map.class);
    return ManagedChannelBuilder.forTarget(target)
        .usePlaintext()
        .defaultServiceConfig(config)
        .intercept(MetadataUtils.newAttachHeadersInterceptor(headers))
        .build();
  }

  private static String policy() {
    String bundle = setting("PARLEY_PROTOS", "");
    try {
      return Files.readString(Path.of(bundle, "service_config.json"));
    } catch (IOException unreadable) {
      System.err.printf(
          "PARLEY_PROTOS is \"%s\", where no service_config.json is:"
              + " set it to the folder of the unpacked bundle, which make protos-bundle packs%n",
          bundle);
      System.exit(2);
      throw new AssertionError(unreadable);
    }
  }

  private static Task open(TaskServiceBlockingStub tasks) {
    String taskId = setting("PARLEY_TASK_ID", "");
    if (!taskId.isEmpty()) {
      return tasks.getTask(GetTaskRequest.newBuilder().setTaskId(taskId).build()).getTask();
    }
    String streamId = setting("PARLEY_STREAM_ID", UUID.randomUUID().toString());
    return tasks
        .createTask(
            CreateTaskRequest.newBuilder()
                .setRequestId(UUID.randomUUID().toString())
                .setRoomId(streamId)
                .setStreamId(streamId)
                .setPersonaId(setting("PARLEY_PERSONA", ""))
                .build())
        .getTask();
  }

  /** Prints the states of the task until it has ended. */
  private static void watch(TaskServiceBlockingStub tasks, String taskId) {
    var request = WatchTaskRequest.newBuilder().setTaskId(taskId).setAfterSequence(0).build();
    tasks
        .watchTask(request)
        .forEachRemaining(
            update -> {
              if (update.getEvent().hasStateChanged()) {
                Task task = update.getEvent().getStateChanged().getTask();
                tell("state", Map.of("state", task.getState().name()));
              }
            });
  }

  static String setting(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }

  static synchronized void tell(String event, Map<String, ?> more) {
    var line = new LinkedHashMap<String, Object>(Map.of("event", event));
    line.putAll(more);
    System.out.println(JSON.toJson(line));
  }

  /** What a failed call's status says: its code, the reason, and the fields that are wrong. */
  static Map<String, Object> failure(com.google.rpc.Status told) {
    String reason = "";
    List<String> fields = new ArrayList<>();
    try {
      for (Any detail : told.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          reason = detail.unpack(ErrorInfo.class).getReason();
        } else if (detail.is(BadRequest.class)) {
          var violations = detail.unpack(BadRequest.class).getFieldViolationsList();
          violations.forEach(violation -> fields.add(violation.getField()));
        }
      }
    } catch (InvalidProtocolBufferException unreadable) {
      // The code and the message still tell.
    }
    String code = Code.forNumber(told.getCode()).name();
    return Map.of("code", code, "reason", reason, "fields", fields, "message", told.getMessage());
  }
}
