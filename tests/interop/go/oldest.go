//go:build v023

package main

import (
	"errors"

	"github.com/hibiken/asynq"
)

var revoked = errors.New("this version of asynq cannot revoke a task")

func newTask(kind string, payload []byte, headers map[string]string) (*asynq.Task, error) {
	if headers != nil {
		return nil, errors.New("this version of asynq has no headers")
	}
	return asynq.NewTask(kind, payload), nil
}

func headers(*asynq.Task) map[string]string {
	return nil
}

func checkOften(*asynq.Config) {} // this version looks once a second

func beatOften(*asynq.SchedulerOpts) {} // this version tells of its entries every five seconds
