// A Go worker of the load of tests/verify/chaos, which starts it as a process, beside workers in Python:
//
//	soak URL FOLDER WHO BREAKAGE    until TERM
//
// What its handlers see it appends to the file FOLDER/WHO, as ledger.py does: seconds of CLOCK_BOOTTIME, event, task,
// detail. With the breakage "go-swallows" it acknowledges some tasks without doing them.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/hibiken/asynq"
)

const (
	queue     = "go"
	bootTime  = 7 // CLOCK_BOOTTIME
	swallowed = 20
)

func main() {
	url, folder, who, broken := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	ended := make(chan os.Signal, 2)
	signal.Notify(ended, syscall.SIGTERM)
	file, err := os.OpenFile(filepath.Join(folder, who), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	check(err)
	l := ledger{file}
	server := asynq.NewServer(connection(url), asynq.Config{
		Concurrency:              5,
		Queues:                   map[string]int{queue: 1},
		ShutdownTimeout:          3 * time.Second,
		DelayedTaskCheckInterval: 500 * time.Millisecond,
		TaskCheckInterval:        100 * time.Millisecond,
		LogLevel:                 asynq.ErrorLevel,
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return time.Second },
	})
	check(server.Start(handler(l, broken == "go-swallows")))
	l.note("started", "", "")
	<-ended
	server.Shutdown()
	l.note("served", "", "")
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// connection turns the URLs that asynq_py takes into Go's options.
func connection(url string) asynq.RedisConnOpt {
	if nodes, ok := strings.CutPrefix(url, "redis-cluster://"); ok {
		nodes, _, _ = strings.Cut(nodes, "/")
		nodes, _, _ = strings.Cut(nodes, "?")
		return asynq.RedisClusterClientOpt{Addrs: strings.Split(nodes, ",")}
	}
	opt, err := asynq.ParseRedisURI(url)
	check(err)
	return opt
}

type ledger struct{ file *os.File }

func (l ledger) note(event, id, detail string) {
	var now syscall.Timespec
	_, _, failed := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, bootTime, uintptr(unsafe.Pointer(&now)), 0)
	if failed != 0 {
		check(failed)
	}
	_, err := fmt.Fprintf(l.file, "%d.%06d\t%s\t%s\t%s\n", now.Sec, now.Nsec/1000, event, id, detail)
	check(err)
}

func handler(l ledger, swallows bool) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		id, _ := asynq.GetTaskID(ctx)
		retried, _ := asynq.GetRetryCount(ctx)
		if swallows && crc32.ChecksumIEEE([]byte(id))%swallowed == 0 {
			return nil
		}
		switch t.Type() {
		case "digest":
			l.note("members", id, strings.Join(strings.Fields(string(t.Payload())), ""))
		case "join":
			l.note("joins", id, strings.Join(strings.Fields(string(t.Payload())), ""))
		}
		l.note("begin", id, fmt.Sprintf("%d 0 %s", retried, queue))
		err := play(ctx, t, id, retried)
		switch {
		case ctx.Err() != nil:
			l.note("end", id, "cancelled")
		case err != nil:
			l.note("end", id, "failed")
		default:
			l.note("end", id, "ok")
		}
		return err
	}
}

func play(ctx context.Context, t *asynq.Task, id string, retried int) error {
	var number float64
	switch t.Type() {
	case "work", "steady":
		if err := json.Unmarshal(t.Payload(), &number); err != nil {
			return err
		}
		return sleep(ctx, time.Duration(number*float64(time.Second)))
	case "flaky":
		if err := json.Unmarshal(t.Payload(), &number); err != nil {
			return err
		}
		if float64(retried) < number {
			return errors.New("as it was told to")
		}
		return nil
	case "digest", "alert", "after":
		return sleep(ctx, 10*time.Millisecond)
	case "step", "join":
		drawn := crc32.ChecksumIEEE([]byte(id)) % 100
		if err := sleep(ctx, time.Duration(drawn%5)*10*time.Millisecond); err != nil {
			return err
		}
		if t.Type() == "step" && (drawn < 2 || (drawn < 10 && retried == 0)) {
			return errors.New("as its ID tells it to")
		}
		_, err := t.ResultWriter().Write(result(id, t.Payload()))
		return err
	}
	return fmt.Errorf("a task of type %q is not for Go", t.Type())
}

// result is a list of so many numbers where one is asked for, else the ID.
func result(id string, payload []byte) []byte {
	var asked struct{ List *int }
	var told any = id
	if json.Unmarshal(payload, &asked) == nil && asked.List != nil {
		numbers := make([]int, *asked.List)
		for n := range numbers {
			numbers[n] = n
		}
		told = numbers
	}
	data, _ := json.Marshal(told)
	return data
}

func sleep(ctx context.Context, span time.Duration) error {
	select {
	case <-time.After(span):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
