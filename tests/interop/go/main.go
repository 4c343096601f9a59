// The peer runs the published asynq module for the tests of asynq_py, which start it as a process.
//
//	peer enqueue URL               tasks as JSON lines on stdin; what became of each on stdout
//	peer serve   URL CONFIG        a server; commands on stdin, events as JSON lines on stdout (serve.go)
//	peer schedule URL ENTRIES      a scheduler, until stdin ends (schedule.go)
//	peer times                     cron specs as JSON lines on stdin; their next times on stdout (schedule.go)
//	peer inspect URL METHOD ARGS   one call of asynq.Inspector; ARGS is a JSON list (inspect.go)
//	peer decode  MESSAGE           hexadecimal protobuf on stdin → JSON, by Go's own generated code
//	peer encode  MESSAGE           the other way round
//	peer version
//
// The same source builds against the oldest supported version too, with the tag v023: what that version
// lacks is in oldest.go, its counterpart in newest.go.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/hibiken/asynq"
)

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		fail(fmt.Errorf("say what to do: see main.go"))
	}
	var err error
	switch args[0] {
	case "enqueue":
		err = enqueue(connection(args[1]))
	case "serve":
		err = serve(connection(args[1]), args[2])
	case "schedule":
		err = schedule(connection(args[1]), args[2])
	case "times":
		err = times()
	case "inspect":
		err = inspect(connection(args[1]), args[2], args[3])
	case "decode":
		err = decode(args[1])
	case "encode":
		err = encode(args[1])
	case "version":
		emit(map[string]any{"asynq": version()})
	default:
		err = fmt.Errorf("unknown command %q", args[0])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "peer:", err)
	os.Exit(1)
}

// connection turns the URLs that asynq_py takes into Go's options. Go itself has no word for a cluster.
func connection(url string) asynq.RedisConnOpt {
	if path, ok := strings.CutPrefix(url, "unix://"); ok {
		return asynq.RedisClientOpt{Network: "unix", Addr: path}
	}
	if nodes, ok := strings.CutPrefix(url, "redis-cluster://"); ok {
		nodes, _, _ = strings.Cut(nodes, "/")
		return asynq.RedisClusterClientOpt{Addrs: strings.Split(nodes, ",")}
	}
	opt, err := asynq.ParseRedisURI(url)
	if err != nil {
		fail(err)
	}
	return opt
}

var stdout struct {
	sync.Mutex
	encoder *json.Encoder
}

// emit writes one JSON line.
func emit(value any) {
	stdout.Lock()
	defer stdout.Unlock()
	if stdout.encoder == nil {
		stdout.encoder = json.NewEncoder(os.Stdout)
	}
	if err := stdout.encoder.Encode(value); err != nil {
		fail(err)
	}
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/hibiken/asynq" {
			return module.Version
		}
	}
	return "unknown"
}

func text(err error) *string {
	if err == nil {
		return nil
	}
	s := err.Error()
	return &s
}
