package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/edri-io/edri/client"
)

// Read measures scans through the API's stream: each event is decoded in the
// client. The error is for what prevents measuring.
func Read(ctx context.Context, cfg ReadConfig) (ReadReport, error) {
	cfg, err := cfg.normalize()
	if err != nil {
		return ReadReport{}, fmt.Errorf("check benchmark settings: %w", err)
	}
	c, err := client.New(client.Config{Servers: cfg.Servers, Logger: cfg.Logger, GiveUpAfter: cfg.GiveUpAfter})
	if err != nil {
		return ReadReport{}, fmt.Errorf("open client: %w", err)
	}
	defer c.Close()

	report := ReadReport{Rounds: cfg.Rounds}
	var seconds, rates, byteRates []float64
	for round := range cfg.Rounds {
		s, err := scan(ctx, c, cfg)
		if err != nil {
			return report, fmt.Errorf("scan the history: %w", err)
		}
		report.Events, report.DataBytes = s.events, s.dataBytes
		elapsed := s.elapsed.Seconds()
		seconds = append(seconds, elapsed)
		rates = append(rates, float64(s.events)/elapsed)
		byteRates = append(byteRates, float64(s.dataBytes)/elapsed)
		cfg.Progress(fmt.Sprintf("round %d/%d: %d events in %.2f s, %.0f events/s",
			round+1, cfg.Rounds, s.events, elapsed, rates[round]))
	}
	report.Seconds, report.PerSecond, report.BytesPerSecond = median(seconds), median(rates), median(byteRates)
	return report, nil
}

type scanned struct {
	events, dataBytes uint64
	elapsed           time.Duration
}

func scan(ctx context.Context, c *client.Client, cfg ReadConfig) (scanned, error) {
	var s scanned
	began := time.Now()
	query := client.Query{
		Stream: cfg.Stream, Type: cfg.Type, Source: cfg.Source,
		Reverse: cfg.Reverse, Limit: cfg.Limit,
	}
	for recorded, err := range c.Read(ctx, query) {
		if err != nil {
			return s, err
		}
		s.events++
		s.dataBytes += uint64(len(recorded.Data))
	}
	s.elapsed = time.Since(began)
	return s, nil
}
