package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"

	"github.com/hibiken/asynq"
)

// task is one line of input. Durations are seconds, instants Unix seconds; absent means "option not given".
// A null payload is Go's nil, an empty one is []byte{}.
type task struct {
	Type      string            `json:"type"`
	Payload   []byte            `json:"payload"`
	Headers   map[string]string `json:"headers"`
	Queue     *string           `json:"queue"`
	ID        *string           `json:"task_id"`
	MaxRetry  *int              `json:"max_retry"`
	Timeout   *float64          `json:"timeout"`
	Deadline  *int64            `json:"deadline"`
	Unique    *float64          `json:"unique"`
	ProcessAt *int64            `json:"process_at"`
	ProcessIn *float64          `json:"process_in"`
	Retention *float64          `json:"retention"`
	Group     *string           `json:"group"`
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second))
}

func (t task) options() (options []asynq.Option) {
	if t.Queue != nil {
		options = append(options, asynq.Queue(*t.Queue))
	}
	if t.ID != nil {
		options = append(options, asynq.TaskID(*t.ID))
	}
	if t.MaxRetry != nil {
		options = append(options, asynq.MaxRetry(*t.MaxRetry))
	}
	if t.Timeout != nil {
		options = append(options, asynq.Timeout(seconds(*t.Timeout)))
	}
	if t.Deadline != nil {
		options = append(options, asynq.Deadline(time.Unix(*t.Deadline, 0)))
	}
	if t.Unique != nil {
		options = append(options, asynq.Unique(seconds(*t.Unique)))
	}
	if t.ProcessAt != nil {
		options = append(options, asynq.ProcessAt(time.Unix(*t.ProcessAt, 0)))
	}
	if t.ProcessIn != nil {
		options = append(options, asynq.ProcessIn(seconds(*t.ProcessIn)))
	}
	if t.Retention != nil {
		options = append(options, asynq.Retention(seconds(*t.Retention)))
	}
	if t.Group != nil {
		options = append(options, asynq.Group(*t.Group))
	}
	return options
}

// enqueue answers each line with {"info": …} or {"error": …, "kind": "duplicate", "conflict" or "other"}.
func enqueue(redis asynq.RedisConnOpt) error {
	client := asynq.NewClient(redis)
	defer client.Close()
	input := json.NewDecoder(os.Stdin)
	for {
		var t task
		if err := input.Decode(&t); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		made, err := newTask(t.Type, t.Payload, t.Headers)
		if err != nil {
			return err
		}
		info, err := client.Enqueue(made, t.options()...)
		if err != nil {
			emit(map[string]any{"error": err.Error(), "kind": kind(err)})
			continue
		}
		emit(map[string]any{"info": info})
	}
}

func kind(err error) string {
	switch {
	case errors.Is(err, asynq.ErrDuplicateTask):
		return "duplicate"
	case errors.Is(err, asynq.ErrTaskIDConflict):
		return "conflict"
	}
	return "other"
}
