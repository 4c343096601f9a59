package main

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

type look struct {
	at, cpu, redisCPU float64
	commands          int
}

type mark struct {
	tenth int
	at    float64
	rss   int
	look  *look
}

// now is the monotonic clock that all processes of the machine share.
func now() float64 {
	var t unix.Timespec
	check(unix.ClockGettime(unix.CLOCK_MONOTONIC, &t))
	return float64(t.Nano()) / 1e9
}

func (s *system) lookIf(wanted bool) *look {
	if !wanted {
		return nil
	}
	return s.look()
}

func (s *system) look() *look {
	l := look{}
	for _, line := range s.info("cpu") {
		name, value, _ := strings.Cut(line, ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			seconds, err := strconv.ParseFloat(value, 64)
			check(err)
			l.redisCPU += seconds
		}
	}
	for _, line := range s.info("commandstats") {
		name, value, _ := strings.Cut(line, ":")
		calls, found := strings.CutPrefix(strings.Split(value, ",")[0], "calls=")
		if found && name != "cmdstat_info" {
			n, err := strconv.Atoi(calls)
			check(err)
			l.commands += n
		}
	}
	l.cpu, l.at = usage(), now()
	return &l
}

func (s *system) info(section string) []string {
	text, err := s.redis.Info(context.Background(), section).Result()
	check(err)
	return strings.Split(strings.TrimSpace(text), "\r\n")
}

func between(first, last *look, tasks int) answer {
	return answer{
		Tasks:    tasks,
		Seconds:  last.at - first.at,
		CPU:      last.cpu - first.cpu,
		RedisCPU: last.redisCPU - first.redisCPU,
		Commands: last.commands - first.commands,
		RSS:      rss(),
	}
}

func rss() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return pages * os.Getpagesize()
}

func distribution(samples []float64) answer {
	if len(samples) == 0 {
		panic("no task has run")
	}
	slices.Sort(samples)
	a := answer{Tasks: len(samples), RSS: rss()}
	for _, sample := range samples {
		a.Seconds += sample
	}
	step := max(1, len(samples)/1000)
	for i := len(samples) - 1; i >= 0; i -= step {
		a.Samples = append(a.Samples, samples[i])
	}
	return a
}
