package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/hibiken/asynq"
	"github.com/robfig/cron/v3"
)

// entry of a scheduler. Durations are seconds.
type entry struct {
	Spec     string  `json:"spec"`
	Type     string  `json:"type"`
	Payload  []byte  `json:"payload"`
	Queue    string  `json:"queue"`
	MaxRetry *int    `json:"max_retry"`
	Timeout  float64 `json:"timeout"`
	Unique   float64 `json:"unique"`
}

// schedule runs a scheduler until stdin ends.
func schedule(redis asynq.RedisConnOpt, configuration string) error {
	var entries []entry
	if err := json.Unmarshal([]byte(configuration), &entries); err != nil {
		return err
	}
	opts := &asynq.SchedulerOpts{LogLevel: asynq.ErrorLevel}
	beatOften(opts)
	scheduler := asynq.NewScheduler(redis, opts)
	for _, e := range entries {
		var options []asynq.Option
		if e.Queue != "" {
			options = append(options, asynq.Queue(e.Queue))
		}
		if e.MaxRetry != nil {
			options = append(options, asynq.MaxRetry(*e.MaxRetry))
		}
		if e.Timeout != 0 {
			options = append(options, asynq.Timeout(seconds(e.Timeout)))
		}
		if e.Unique != 0 {
			options = append(options, asynq.Unique(seconds(e.Unique)))
		}
		if _, err := scheduler.Register(e.Spec, asynq.NewTask(e.Type, e.Payload), options...); err != nil {
			return err
		}
	}
	if err := scheduler.Start(); err != nil {
		return err
	}
	emit(map[string]any{"event": "ready"})
	for commands := bufio.NewScanner(os.Stdin); commands.Scan(); {
	}
	scheduler.Shutdown()
	emit(map[string]any{"event": "ended"})
	return nil
}

// times reads {"spec", "zone", "at", "count"} as JSON lines and tells what Go's cron library makes of each: its
// next times, Unix seconds, or the error.
func times() error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var given struct {
			Spec, Zone string
			At         int64
			Count      int
		}
		if err := json.Unmarshal(lines.Bytes(), &given); err != nil {
			return err
		}
		zone, err := time.LoadLocation(given.Zone)
		if err != nil {
			return err
		}
		spec, err := parseSpec(given.Spec)
		if err != nil {
			emit(map[string]any{"error": err.Error()})
			continue
		}
		found := []int64{}
		for at := time.Unix(given.At, 0).In(zone); len(found) < given.Count; {
			if at = spec.Next(at); at.IsZero() {
				break
			}
			found = append(found, at.Unix())
		}
		emit(map[string]any{"times": found})
	}
	return lines.Err()
}

// parseSpec takes a panic for an error: a zone without anything behind it makes the library panic.
func parseSpec(text string) (spec cron.Schedule, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	return cron.ParseStandard(text)
}
