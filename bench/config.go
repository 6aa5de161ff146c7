package bench

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/edri-io/edri/event"
)

// AppendConfig says what Append measures. The zero value of a field stands for
// its default.
type AppendConfig struct {
	// Servers are the API URLs of the cluster's nodes. Required.
	Servers []string
	// Producers are the numbers k of closed-loop producers to measure, each 1 to
	// 65536. Default 1, 64, 256, 1024.
	Producers []int
	// EventBytes is the size of each event's data. Default 256, at most 1 MiB.
	EventBytes int
	// Rounds is how often each k is measured. Default 3.
	Rounds int
	// Duration is how long each measurement lasts, after Warmup. Default 3 s.
	Duration time.Duration
	// Warmup is run before each measurement and not counted. Default 500 ms.
	Warmup time.Duration
	// LimitDir is a folder on the file system of the data directories; the
	// disk's own limit is measured in files made, and removed, there. Default ""
	// does not measure the limit.
	LimitDir string
	// LimitDirs are three folders, one for each file, where the nodes' data
	// directories are on three file systems; it goes before LimitDir.
	LimitDirs []string
	// GiveUpAfter is how long to go on trying while no server serves. Default 10 s.
	GiveUpAfter time.Duration
	// Progress is told of each measurement as it ends. Default: nobody.
	Progress func(line string)
	// Logger gets what the client has to say. Default: discarded.
	Logger *slog.Logger
}

// ReadConfig says what Read measures.
type ReadConfig struct {
	// Servers are the API URLs to read from. Required.
	Servers []string
	// Limit is how many events each scan reads at most. Default 0: all.
	Limit uint64
	// Rounds is how often the scan is run. Default 3.
	Rounds int
	// Stream, Type and Source restrict the scan; empty does not.
	Stream, Type, Source string
	// Reverse scans from the last event to the first.
	Reverse bool
	// GiveUpAfter is how long to go on trying while no server serves. Default 10 s.
	GiveUpAfter time.Duration
	// Progress is told of each scan as it ends. Default: nobody.
	Progress func(line string)
	// Logger gets what the client has to say. Default: discarded.
	Logger *slog.Logger
}

// DeliverConfig says what Deliver measures. The zero value of a field stands for its
// default.
type DeliverConfig struct {
	// Servers are the API URLs of the cluster's nodes. Required.
	Servers []string
	// Credits are the numbers k of credits, and of producers beside them, to measure,
	// each 1 to 65536. Default 1, 64, 256.
	Credits []int
	// EventBytes is the size of each event's data. Default 256, at most 1 MiB.
	EventBytes int
	// Rounds is how often each k is measured. Default 1.
	Rounds int
	// Duration is how long a backlog is drained at most. Default 20 s.
	Duration time.Duration
	// AppendDuration is how long appends, and requests, are measured, after Warmup.
	// Default 5 s and 500 ms.
	AppendDuration, Warmup time.Duration
	// MaxBacklog is how many events are appended for a backlog at most, so that it
	// may be drained before Duration. Default 500,000.
	MaxBacklog int
	// LiveRate is how many events are appended a second for LiveDuration, to measure
	// how soon they are delivered. Default 1,000 and 5 s.
	LiveRate     int
	LiveDuration time.Duration
	// GiveUpAfter is how long to go on trying while no server serves. Default 10 s.
	GiveUpAfter time.Duration
	// Progress is told of each measurement as it ends. Default: nobody.
	Progress func(line string)
	// Logger gets what the client has to say. Default: discarded.
	Logger *slog.Logger
}

const (
	defaultEventBytes = 256
	defaultRounds     = 3
	defaultDuration   = 3 * time.Second
	defaultWarmup     = 500 * time.Millisecond
	defaultGiveUp     = 10 * time.Second
	maxProducers      = 1 << 16
)

var defaultProducers = []int{1, 64, 256, 1024}

// normalize returns c with its defaults in place, or what is wrong with it.
func (c AppendConfig) normalize() (AppendConfig, error) {
	if len(c.Servers) == 0 {
		return c, errors.New("no server given")
	}
	if len(c.Producers) == 0 {
		c.Producers = slices.Clone(defaultProducers)
	}
	for _, k := range c.Producers {
		if k < 1 || k > maxProducers {
			return c, fmt.Errorf("%d producers: must be 1 to %d", k, maxProducers)
		}
	}
	if c.EventBytes == 0 {
		c.EventBytes = defaultEventBytes
	}
	if maxBytes := event.DefaultLimits().EventData; c.EventBytes < 0 || c.EventBytes > maxBytes {
		return c, fmt.Errorf("%d bytes of event data: must be 1 to %d", c.EventBytes, maxBytes)
	}
	if len(c.LimitDirs) == 0 && c.LimitDir != "" {
		c.LimitDirs = []string{c.LimitDir, c.LimitDir, c.LimitDir}
	}
	if n := len(c.LimitDirs); n != 0 && n != limitFiles {
		return c, fmt.Errorf("%d folders for the disk's limit: must be %d", n, limitFiles)
	}
	setDefault(&c.Duration, defaultDuration)
	setDefault(&c.Warmup, defaultWarmup)
	setDefault(&c.Rounds, defaultRounds)
	setDefault(&c.GiveUpAfter, defaultGiveUp)
	if c.Duration < 0 || c.Warmup < 0 || c.Rounds < 0 || c.GiveUpAfter < 0 {
		return c, errors.New("duration, warm-up, rounds and patience must be positive")
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func (c ReadConfig) normalize() (ReadConfig, error) {
	if len(c.Servers) == 0 {
		return c, errors.New("no server given")
	}
	setDefault(&c.Rounds, defaultRounds)
	setDefault(&c.GiveUpAfter, defaultGiveUp)
	if c.Rounds < 0 || c.GiveUpAfter < 0 {
		return c, errors.New("rounds and patience must be positive")
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func (c DeliverConfig) normalize() (DeliverConfig, error) {
	if len(c.Servers) == 0 {
		return c, errors.New("no server given")
	}
	if len(c.Credits) == 0 {
		c.Credits = []int{1, 64, 256}
	}
	for _, k := range c.Credits {
		if k < 1 || k > maxProducers {
			return c, fmt.Errorf("%d credits: must be 1 to %d", k, maxProducers)
		}
	}
	setDefault(&c.EventBytes, defaultEventBytes)
	if maxBytes := event.DefaultLimits().EventData; c.EventBytes < 0 || c.EventBytes > maxBytes {
		return c, fmt.Errorf("%d bytes of event data: must be 1 to %d", c.EventBytes, maxBytes)
	}
	setDefault(&c.Rounds, 1)
	setDefault(&c.Duration, 20*time.Second)
	setDefault(&c.AppendDuration, 5*time.Second)
	setDefault(&c.Warmup, defaultWarmup)
	setDefault(&c.MaxBacklog, 500_000)
	setDefault(&c.LiveRate, 1000)
	setDefault(&c.LiveDuration, 5*time.Second)
	setDefault(&c.GiveUpAfter, defaultGiveUp)
	if c.Duration < 0 || c.AppendDuration < 0 || c.Warmup < 0 || c.LiveDuration < 0 || c.Rounds < 0 || c.MaxBacklog < 0 || c.GiveUpAfter < 0 {
		return c, errors.New("durations, rounds, backlog and patience must be positive")
	}
	if c.LiveRate < 0 || c.LiveRate > 1_000_000 {
		return c, fmt.Errorf("%d events a second: must be 1 to 1000000", c.LiveRate)
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
