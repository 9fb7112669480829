package main

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	audiov1 "parley.example/client/gen/digitalhuman/audio/v1"
	conversationv1 "parley.example/client/gen/digitalhuman/conversation/v1"
	speechv1 "parley.example/client/gen/digitalhuman/speech/v1"
)

const (
	chunkBytes    = 3200 // 100 ms at 16 kHz
	chunkInterval = 100 * time.Millisecond
	reopenAfter   = time.Second
)

type stream = grpc.BidiStreamingClient[speechv1.ConverseRequest, speechv1.ConverseResponse]

// conversation asks one question and listens to the answer. A server that goes away meanwhile is asked
// again once it is back: the stream goes on after the last event that came.
type conversation struct {
	setup   *speechv1.ConverseSetup
	pcm     []byte
	isTaken bool  // The question is part of the conversation: it need not be sent again.
	outcome error // nil once the answer was heard.
}

func converse(ctx context.Context, speech speechv1.SpeechServiceClient, taskID string, pcm []byte) error {
	talk := conversation{pcm: pcm, outcome: errors.New("the question was not answered"),
		setup: &speechv1.ConverseSetup{
			TaskId:        taskID,
			TurnDetection: speechv1.TurnDetection_TURN_DETECTION_MANUAL,
			Output:        speechv1.ReplyOutput_REPLY_OUTPUT_AVATAR,
			InputFormat: &audiov1.AudioFormat{ChannelCount: 1, SampleRateHertz: 16000,
				Encoding: audiov1.AudioEncoding_AUDIO_ENCODING_PCM_S16LE},
		}}
	for {
		answers, err := speech.Converse(ctx, grpc.WaitForReady(true))
		if err == nil {
			go talk.ask(answers, talk.isTaken)
			err = talk.listen(answers)
		}
		if err == io.EOF {
			return talk.outcome
		}
		if status.Code(err) != codes.Unavailable {
			return err
		}
		tell("reopening", failure(err))
		time.Sleep(reopenAfter)
	}
}

// ask sends the question as a microphone would. Whatever goes wrong, the receiver is told of it.
func (talk *conversation) ask(answers stream, isTaken bool) {
	answers.Send(&speechv1.ConverseRequest{Request: &speechv1.ConverseRequest_Setup{Setup: talk.setup}})
	for rest := talk.pcm; len(rest) > 0 && !isTaken; time.Sleep(chunkInterval) {
		size := min(chunkBytes, len(rest))
		audio := &speechv1.ConverseAudio{Pcm: rest[:size]}
		rest = rest[size:]
		if answers.Send(&speechv1.ConverseRequest{Request: &speechv1.ConverseRequest_Audio{Audio: audio}}) != nil {
			return
		}
	}
	if !isTaken {
		answers.Send(&speechv1.ConverseRequest{Request: &speechv1.ConverseRequest_Commit{Commit: &speechv1.ConverseCommit{}}})
	}
	answers.CloseSend()
}

// listen prints what happens until the stream ends, with io.EOF when all is said.
func (talk *conversation) listen(answers stream) error {
	for {
		answer, err := answers.Recv()
		if err != nil {
			return err
		}
		if ready := answer.GetReady(); ready != nil {
			talk.setup.ResumeAfterSequence = &ready.LastSequence
			tell("ready", line{"persona": ready.PersonaId})
			continue
		}
		event := answer.GetEvent()
		talk.setup.ResumeAfterSequence = &event.Sequence
		switch happened := event.GetEvent().(type) {
		case *conversationv1.ConversationEvent_TranscriptUpdated:
			if happened.TranscriptUpdated.IsFinal {
				tell("transcript", line{"text": happened.TranscriptUpdated.Text})
			}
		case *conversationv1.ConversationEvent_TurnStarted:
			talk.isTaken = true
		case *conversationv1.ConversationEvent_TurnFinished:
			tell("heard", line{"text": happened.TurnFinished.HeardText})
			talk.outcome = nil
		case *conversationv1.ConversationEvent_TurnFailed:
			talk.outcome = status.ErrorProto(happened.TurnFailed.Status)
		}
	}
}
