package main

import (
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"
)

type child struct {
	command *exec.Cmd
	in      io.WriteCloser
}

func (c child) Wait() error { return c.command.Wait() }

// start runs this program once more, for what must not share the measured process.
func (s *system) start(role string) child {
	command := exec.Command(os.Args[0], os.Args[1], role)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	check(err)
	check(command.Start())
	return child{command, in}
}

func warmOf(r request) int {
	if r.Concurrency == 1 {
		return 50
	}
	return 200 + 2*r.Concurrency
}

func (s *system) second(role string) {
	r := s.request
	ack := make([]byte, 1)
	switch role {
	case "fill":
		s.store(same(r.Tasks+warmOf(r)+r.Backlog, s.payload(0)), 200)
	case "idle_latency":
		ends := time.Now().Add(time.Hour)
		for n := range r.Tasks + 3 {
			if n == 3 {
				ends = time.Now().Add(time.Duration(r.Limit * float64(time.Second)))
			}
			time.Sleep(20*time.Millisecond + rand.N(30*time.Millisecond))
			if time.Now().After(ends) {
				return
			}
			s.enqueue(s.payload(now()))
			if _, err := os.Stdin.Read(ack); err != nil {
				return
			}
		}
	case "load":
		s.enqueue(s.payload(now()))
		_, _ = os.Stdin.Read(ack)
		tick := max(0.002, 1/r.Rate)
		started, total := now()+tick, int(r.Rate*r.Limit)
		for ticks, handed := 0, 0; handed < total; {
			time.Sleep(time.Duration((started + float64(ticks)*tick - now()) * float64(time.Second)))
			var some [][]byte
			for handed < total && started+float64(ticks)*tick <= now() {
				due := s.payload(started + float64(ticks)*tick)
				ticks++
				for share := min(total, int(float64(ticks)*tick*r.Rate+0.5)); handed < share; handed++ {
					some = append(some, due)
				}
			}
			s.store(some, 64)
		}
		time.Sleep(12 * time.Second)
	}
}
