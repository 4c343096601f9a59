// The published rate-limit extension of asynq, for tests of Semaphore: one call of it per run.
//
//	semaphore acquire URL SCOPE TOKENS ID DEADLINE    for a task of that ID; deadline in Unix seconds
//	semaphore release URL SCOPE TOKENS ID DEADLINE
//
// Prints {"acquired": …, "error": …}. The module stands under asynq's own path, since a context with a task
// in it can be made only there; elsewhere, that takes a server.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynq/internal/base"
	asynqcontext "github.com/hibiken/asynq/internal/context"
	"github.com/hibiken/asynq/x/rate"
)

func main() {
	answer := map[string]any{"acquired": nil, "error": nil}
	if err := call(os.Args[1:], answer); err != nil {
		answer["error"] = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(answer)
}

func call(args []string, answer map[string]any) error {
	tokens, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	deadline, err := strconv.ParseInt(args[5], 10, 64)
	if err != nil {
		return err
	}
	opt, err := connection(args[1])
	if err != nil {
		return err
	}
	ctx, cancel := asynqcontext.New(context.Background(), &base.TaskMessage{ID: args[4]}, time.Unix(deadline, 0))
	defer cancel()
	semaphore := rate.NewSemaphore(opt, args[2], tokens)
	defer semaphore.Close()
	switch args[0] {
	case "acquire":
		acquired, err := semaphore.Acquire(ctx)
		answer["acquired"] = acquired
		return err
	case "release":
		return semaphore.Release(ctx)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

func connection(url string) (asynq.RedisConnOpt, error) {
	if path, ok := strings.CutPrefix(url, "unix://"); ok {
		return asynq.RedisClientOpt{Network: "unix", Addr: path}, nil
	}
	return asynq.ParseRedisURI(url)
}
