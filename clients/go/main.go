// Asks a digital human a spoken question over gRPC, and prints what happens as lines of JSON.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	speechv1 "parley.example/client/gen/digitalhuman/speech/v1"
	taskv1 "parley.example/client/gen/digitalhuman/task/v1"
)

//go:generate sh -c "test -f '$PARLEY_PROTOS/service_config.json' || { echo 'PARLEY_PROTOS must be the folder of the unpacked bundle, which make protos-bundle packs' >&2; exit 1; }"
//go:generate buf generate $PARLEY_PROTOS --path $PARLEY_PROTOS/protos/digitalhuman

type line map[string]any

func main() {
	ctx := metadata.AppendToOutgoingContext(context.Background(),
		"authorization", "Bearer "+os.Getenv("PARLEY_SERVICE_TOKEN"))
	if err := run(ctx, os.Args[1]); err != nil {
		tell("error", failure(err))
		os.Exit(1)
	}
}

func run(ctx context.Context, path string) error {
	wav, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	limit, err := time.ParseDuration(cmp.Or(os.Getenv("PARLEY_DEADLINE_S"), "120") + "s")
	if err != nil {
		return err
	}
	tasks := taskv1.NewTaskServiceClient(connect("PARLEY_TASK", "127.0.0.1:50051"))
	speech := speechv1.NewSpeechServiceClient(connect("PARLEY_SPEECH", "127.0.0.1:50052"))
	listed, err := speech.ListPersonas(ctx, &speechv1.ListPersonasRequest{})
	if err != nil {
		return err
	}
	for _, persona := range listed.Personas {
		tell("persona", line{"id": persona.PersonaId})
	}
	task, err := open(ctx, tasks)
	if err != nil {
		return err
	}
	tell("task", line{"id": task.TaskId})
	watched := make(chan error)
	go func() { watched <- watch(ctx, tasks, task.TaskId) }()
	talking, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	talked := converse(talking, speech, task.TaskId, wav[bytes.Index(wav, []byte("data"))+8:])
	// Whatever became of the conversation: an avatar on air costs money.
	if _, err := tasks.StopTask(ctx, &taskv1.StopTaskRequest{TaskId: task.TaskId}); err != nil {
		return err
	}
	return cmp.Or(<-watched, talked)
}

// connect opens a channel with the policy that comes with the protos: retries, timeouts, patience.
func connect(variable, target string) *grpc.ClientConn {
	bundle := os.Getenv("PARLEY_PROTOS")
	policy, err := os.ReadFile(bundle + "/service_config.json")
	if err != nil {
		log.Printf("PARLEY_PROTOS is %q, where no service_config.json is: set it to the folder of the unpacked bundle, which make protos-bundle packs", bundle)
		os.Exit(2)
	}
	channel, err := grpc.NewClient(cmp.Or(os.Getenv(variable), target),
		grpc.WithDefaultServiceConfig(string(policy)), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	return channel
}

func open(ctx context.Context, tasks taskv1.TaskServiceClient) (*taskv1.Task, error) {
	if id := os.Getenv("PARLEY_TASK_ID"); id != "" {
		found, err := tasks.GetTask(ctx, &taskv1.GetTaskRequest{TaskId: id})
		return found.GetTask(), err
	}
	stream := cmp.Or(os.Getenv("PARLEY_STREAM_ID"), uuid.NewString())
	created, err := tasks.CreateTask(ctx, &taskv1.CreateTaskRequest{RequestId: uuid.NewString(),
		RoomId: stream, StreamId: stream, PersonaId: os.Getenv("PARLEY_PERSONA")})
	return created.GetTask(), err
}

// watch prints the states of the task until it has ended.
func watch(ctx context.Context, tasks taskv1.TaskServiceClient, taskID string) error {
	updates, err := tasks.WatchTask(ctx, &taskv1.WatchTaskRequest{TaskId: taskID, AfterSequence: new(int64)})
	for err == nil {
		var update *taskv1.WatchTaskResponse
		update, err = updates.Recv()
		if changed := update.GetEvent().GetStateChanged(); changed != nil {
			tell("state", line{"state": changed.Task.State.String()})
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

func tell(event string, more line) {
	more["event"] = event
	text, err := json.Marshal(more)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
}

// failure is what a failed call's status says: its code, the reason, and the fields that are wrong.
func failure(err error) line {
	told := status.Convert(err)
	reason, fields := "", []string{}
	for _, detail := range told.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = detail.Reason
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				fields = append(fields, violation.Field)
			}
		}
	}
	return line{"code": code.Code(told.Code()).String(), "reason": reason, "fields": fields, "message": told.Message()}
}
