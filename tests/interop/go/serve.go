package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

// config of a server. Durations are seconds.
type config struct {
	Concurrency     int            `json:"concurrency"`
	Queues          map[string]int `json:"queues"`
	StrictPriority  bool           `json:"strict_priority"`
	RetryDelay      float64        `json:"retry_delay"`
	ForwardInterval float64        `json:"forward_interval"`
	ShutdownTimeout float64        `json:"shutdown_timeout"`
	GroupMaxSize    int            `json:"group_max_size"` // 0: this server aggregates nothing
}

// script is the payload of a task: what its handler does. A payload that is no script succeeds.
type script struct {
	Do   string `json:"do"`   // succeed, fail, skip, revoke, result, wait, linger
	Text string `json:"text"` // of the error or the result
	Fail int    `json:"fail"` // this many tries fail first
}

// serve runs until stdin ends. Commands: "release" lets tasks that wait end, "stop" fetches no more.
func serve(redis asynq.RedisConnOpt, configuration string) error {
	var c config
	if err := json.Unmarshal([]byte(configuration), &c); err != nil {
		return err
	}
	released := make(chan struct{})
	server := asynq.NewServer(redis, c.settings())
	if err := server.Start(handler(released)); err != nil {
		return err
	}
	emit(map[string]any{"event": "ready"})
	var once sync.Once
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		switch commands.Text() {
		case "release":
			once.Do(func() { close(released) })
		case "stop":
			server.Stop()
			emit(map[string]any{"event": "stopped"})
		}
	}
	server.Shutdown()
	emit(map[string]any{"event": "ended"})
	return commands.Err()
}

func (c config) settings() asynq.Config {
	settings := asynq.Config{
		Concurrency:              c.Concurrency,
		Queues:                   c.Queues,
		StrictPriority:           c.StrictPriority,
		DelayedTaskCheckInterval: seconds(c.ForwardInterval),
		ShutdownTimeout:          seconds(c.ShutdownTimeout),
		LogLevel:                 asynq.ErrorLevel,
		RetryDelayFunc: func(int, error, *asynq.Task) time.Duration {
			return seconds(c.RetryDelay)
		},
		GroupMaxSize: c.GroupMaxSize,
	}
	if c.GroupMaxSize > 0 {
		settings.GroupGracePeriod = 3 * time.Second // also how often Go looks
		settings.GroupAggregator = asynq.GroupAggregatorFunc(aggregate)
	}
	checkOften(&settings)
	return settings
}

// aggregate makes one task of a group: its payload is the JSON list of their payloads.
func aggregate(group string, tasks []*asynq.Task) *asynq.Task {
	payloads := make([]string, 0, len(tasks))
	for _, t := range tasks {
		payloads = append(payloads, string(t.Payload()))
	}
	data, _ := json.Marshal(payloads)
	return asynq.NewTask("aggregated:"+group, data)
}

func handler(released <-chan struct{}) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		id, _ := asynq.GetTaskID(ctx)
		started(ctx, id, t)
		err := play(ctx, t, released)
		emit(map[string]any{"event": "end", "id": id, "error": text(err), "cause": text(ctx.Err())})
		return err
	}
}

func started(ctx context.Context, id string, t *asynq.Task) {
	queue, _ := asynq.GetQueueName(ctx)
	retried, _ := asynq.GetRetryCount(ctx)
	maxRetry, _ := asynq.GetMaxRetry(ctx)
	deadline, _ := ctx.Deadline()
	emit(map[string]any{
		"event": "start", "id": id, "queue": queue, "type": t.Type(), "payload": t.Payload(),
		"headers": headers(t), "retried": retried, "max_retry": maxRetry, "deadline": deadline.Unix(),
	})
}

func play(ctx context.Context, t *asynq.Task, released <-chan struct{}) error {
	var s script
	if json.Unmarshal(t.Payload(), &s) != nil {
		return nil
	}
	if retried, _ := asynq.GetRetryCount(ctx); retried < s.Fail {
		return fmt.Errorf("try %d: %s", retried+1, s.Text)
	}
	switch s.Do {
	case "fail":
		return errors.New(s.Text)
	case "skip":
		return fmt.Errorf("%s: %w", s.Text, asynq.SkipRetry)
	case "revoke":
		return revoked
	case "result":
		_, err := t.ResultWriter().Write([]byte(s.Text))
		return err
	case "wait":
		select {
		case <-released:
		case <-ctx.Done():
			return ctx.Err()
		}
	case "linger": // deaf to cancelation
		<-released
	}
	return nil
}
