//go:build !v023

package main

import (
	"time"

	"github.com/hibiken/asynq"
)

var revoked = asynq.RevokeTask

func newTask(kind string, payload []byte, headers map[string]string) (*asynq.Task, error) {
	if headers == nil {
		return asynq.NewTask(kind, payload), nil
	}
	return asynq.NewTaskWithHeaders(kind, payload, headers), nil
}

func headers(t *asynq.Task) map[string]string {
	return t.Headers()
}

func checkOften(c *asynq.Config) {
	c.TaskCheckInterval = 20 * time.Millisecond
	c.JanitorInterval = 200 * time.Millisecond
}

func beatOften(o *asynq.SchedulerOpts) {
	o.HeartbeatInterval = 500 * time.Millisecond
}
