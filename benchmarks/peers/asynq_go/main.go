// asynq (Go): at least once. It answers the requests of benchmarks/adapter.py with the same figures, one a process.
//
// Settings: its defaults (an empty queue is looked at once a second, delayed tasks every five), as shorter
// intervals buy latency with idle cost; 64 connections, with which it is fastest here; no log. It has no call
// that stores many tasks: its "batch" is what its users write, 200 goroutines that share the list.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

type request struct {
	Figure      string         `json:"figure"`
	URL         string         `json:"url"`
	Tasks       int            `json:"tasks"`
	Concurrency int            `json:"concurrency"`
	Sleep       float64        `json:"sleep"`
	Size        int            `json:"size"`
	Queues      map[string]int `json:"queues"`
	Backlog     int            `json:"backlog"`
	Rate        float64        `json:"rate"`
	Limit       float64        `json:"limit"`
}

type answer struct {
	Tasks    int       `json:"tasks"`
	Seconds  float64   `json:"seconds"`
	CPU      float64   `json:"cpu"`
	RedisCPU float64   `json:"redis_cpu"`
	Commands int       `json:"commands"`
	RSS      int       `json:"rss"`
	Samples  []float64 `json:"samples"`
	Marks    []float64 `json:"marks"`
	Runtime  string    `json:"runtime"`
	Absent   string    `json:"absent"`
}

type system struct {
	request request
	option  asynq.RedisClientOpt
	client  *asynq.Client
	redis   *redis.Client
	queues  []string
	next    atomic.Int64
}

func main() {
	r := request{Tasks: 1000, Concurrency: 100, Size: 100, Limit: 8, Queues: map[string]int{"default": 1}}
	check(json.Unmarshal([]byte(os.Args[1]), &r))
	options, err := redis.ParseURL(r.URL)
	check(err)
	s := &system{request: r, redis: redis.NewClient(options)}
	s.option = asynq.RedisClientOpt{Addr: options.Addr, DB: options.DB, PoolSize: 64}
	s.client = asynq.NewClient(s.option)
	for name := range r.Queues {
		s.queues = append(s.queues, name)
	}
	if len(os.Args) > 2 { // the second process
		s.second(os.Args[2])
		return
	}
	var a answer
	switch r.Figure {
	case "drain":
		check(s.start("fill").Wait())
		a = s.drain()
	case "through":
		s.start("fill")
		a = s.drain()
	case "enqueue_singly":
		a = s.timed(1)
	case "enqueue_together":
		a = s.timed(100)
	case "enqueue_batch":
		a = s.timed(200)
	case "idle":
		a = s.idle()
	case "idle_latency":
		a = s.latency(3)
	case "load":
		a = s.latency(1)
	case "late":
		a = s.late()
	default:
		a.Absent = "not measured for Go"
	}
	a.Runtime = runtime.Version()
	a.Samples = append([]float64{}, a.Samples...) // never null
	a.Marks = append([]float64{}, a.Marks...)
	text, err := json.Marshal(a)
	check(err)
	fmt.Println("\n" + string(text))
}

func (s *system) payload(at float64) []byte {
	head := fmt.Sprintf(`{"at": %.6f, "data": "`, at)
	return []byte(head + strings.Repeat("x", max(0, s.request.Size-len(head)-2)) + `"}`)
}

func at(task *asynq.Task) float64 {
	var p struct {
		At float64 `json:"at"`
	}
	check(json.Unmarshal(task.Payload(), &p))
	return p.At
}

func (s *system) enqueue(payload []byte, options ...asynq.Option) {
	queue := s.queues[int(s.next.Add(1))%len(s.queues)]
	_, err := s.client.Enqueue(asynq.NewTask("bench", payload), append(options, asynq.Queue(queue))...)
	check(err)
}

// store hands in the tasks from that many goroutines.
func (s *system) store(payloads [][]byte, callers int) {
	var handed atomic.Int64
	var group sync.WaitGroup
	for range min(callers, len(payloads)) {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := handed.Add(1); n <= int64(len(payloads)); n = handed.Add(1) {
				s.enqueue(payloads[n-1])
			}
		}()
	}
	group.Wait()
}

func same(n int, payload []byte) [][]byte {
	payloads := make([][]byte, n)
	for i := range payloads {
		payloads[i] = payload
	}
	return payloads
}

func (s *system) timed(callers int) answer {
	s.store(same(min(200, s.request.Tasks), s.payload(0)), callers) // connects
	payloads := same(s.request.Tasks, s.payload(0))
	first := s.look()
	s.store(payloads, callers)
	return between(first, s.look(), s.request.Tasks)
}

// work runs tasks from now on.
func (s *system) work(ran func(*asynq.Task)) {
	server := asynq.NewServer(s.option, asynq.Config{
		Concurrency: s.request.Concurrency,
		Queues:      s.request.Queues,
		LogLevel:    asynq.FatalLevel,
	})
	sleep := time.Duration(s.request.Sleep * float64(time.Second))
	check(server.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		if sleep > 0 {
			time.Sleep(sleep)
		}
		ran(task)
		return nil
	})))
}

func (s *system) drain() answer {
	warm, tenth := int64(warmOf(s.request)), int64(max(1, s.request.Tasks/10))
	var handled atomic.Int64
	marked := make(chan mark, 11)
	s.work(func(*asynq.Task) {
		n := handled.Add(1) - warm
		if n >= 0 && n%tenth == 0 && n <= 10*tenth {
			marked <- mark{int(n / tenth), now(), rss(), s.lookIf(n == 0 || n == 10*tenth)}
		}
	})
	var marks [11]*mark // they may come out of turn
	timeout := time.After(time.Duration(s.request.Limit * float64(time.Second)))
	for found := 0; found < len(marks); {
		select {
		case m := <-marked:
			marks[m.tenth] = &m
			found++
			continue
		case <-timeout:
		}
		break
	}
	if marks[0] == nil {
		panic("too slow: not warm within the limit")
	}
	n, last := int(10*tenth), s.lookIf(marks[10] == nil)
	if last != nil {
		n = int(handled.Load() - warm)
	} else {
		last = marks[10].look
	}
	a := between(marks[0].look, last, n)
	for i, m := range marks {
		if m == nil {
			break
		}
		a.Marks = append(a.Marks, float64(m.rss))
		if i > 0 {
			a.Samples = append(a.Samples, float64(tenth)/(m.at-marks[i-1].at))
		}
	}
	return a
}

func (s *system) idle() answer {
	seen := make(chan bool, 1)
	s.work(func(*asynq.Task) { seen <- true })
	s.enqueue(s.payload(0))
	<-seen
	time.Sleep(1500 * time.Millisecond)
	first := s.look()
	time.Sleep(time.Duration(s.request.Limit * float64(time.Second)))
	return between(first, s.look(), 1)
}

// latency measures idle_latency and load: the second process hands in, and is told of each task on its input.
func (s *system) latency(warm int) answer {
	var lock sync.Mutex
	var samples []float64
	child := s.start(s.request.Figure)
	s.work(func(task *asynq.Task) {
		waited := now() - at(task)
		lock.Lock()
		defer lock.Unlock()
		samples = append(samples, waited)
		if s.request.Figure != "load" || len(samples) == 1 {
			_, _ = child.in.Write([]byte("."))
		}
		if s.request.Figure == "load" && len(samples) == warm+int(s.request.Rate*s.request.Limit) {
			_ = child.command.Process.Kill()
		}
	})
	_ = child.Wait()
	lock.Lock()
	defer lock.Unlock()
	return distribution(samples[min(warm, len(samples)):])
}

func (s *system) late() answer {
	var lock sync.Mutex
	var samples []float64
	done := make(chan bool, 1)
	s.work(func(task *asynq.Task) {
		waited := wall() - at(task)
		lock.Lock()
		defer lock.Unlock()
		samples = append(samples, waited)
		if len(samples) == s.request.Tasks {
			done <- true
		}
	})
	first := int(wall()) + 3
	for n := range s.request.Tasks {
		due := first + n*3/s.request.Tasks
		s.enqueue(s.payload(float64(due)), asynq.ProcessAt(time.Unix(int64(due), 0)))
	}
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		panic("delayed tasks did not start")
	}
	return distribution(samples)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func wall() float64 { return float64(time.Now().UnixNano()) / 1e9 }

func usage() float64 {
	var used syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}
