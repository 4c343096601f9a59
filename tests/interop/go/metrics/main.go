// The queue metrics of asynq's published x/metrics, for tests of ours beside them: one scrape per run.
//
//	metrics URL
//
// Prints the text format that a scrape of Go's exporter would give, without the metrics of its process.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynq/x/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

func main() {
	if err := scrape(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func scrape(url string) error {
	options, err := connection(url)
	if err != nil {
		return err
	}
	inspector := asynq.NewInspector(options)
	defer inspector.Close()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.NewQueueMetricsCollector(inspector))
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(os.Stdout, family); err != nil {
			return err
		}
	}
	return nil
}

func connection(url string) (asynq.RedisConnOpt, error) {
	if path, ok := strings.CutPrefix(url, "unix://"); ok {
		return asynq.RedisClientOpt{Network: "unix", Addr: path}, nil
	}
	return asynq.ParseRedisURI(url)
}
