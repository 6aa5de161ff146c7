package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// KeysConfig says what Keys measures. The zero value of a field stands for its default.
type KeysConfig struct {
	// Servers are the API URLs of the cluster's nodes. Required.
	Servers []string
	// Clients are the numbers k of closed-loop clients to measure, each 1 to 65536.
	// Default 1, 64.
	Clients []int
	// Keys is how many keys are read and put. Default 1,000.
	Keys int
	// ValueBytes is the size of each value. Default 256, at most 1 MiB.
	ValueBytes int
	// Rounds is how often each k is measured. Default 3.
	Rounds int
	// Duration is how long each measurement lasts, after Warmup. Default 3 s and 500 ms.
	Duration, Warmup time.Duration
	// GiveUpAfter is how long to go on trying while no server serves. Default 10 s.
	GiveUpAfter time.Duration
	// Progress is told of each measurement as it ends. Default: nobody.
	Progress func(line string)
	// Logger gets what the client has to say. Default: discarded.
	Logger *slog.Logger
}

func (c KeysConfig) normalize() (KeysConfig, error) {
	if len(c.Servers) == 0 {
		return c, errors.New("no server given")
	}
	if len(c.Clients) == 0 {
		c.Clients = []int{1, 64}
	}
	for _, k := range c.Clients {
		if k < 1 || k > maxProducers {
			return c, fmt.Errorf("%d clients: must be 1 to %d", k, maxProducers)
		}
	}
	if c.Keys == 0 {
		c.Keys = 1000
	}
	if c.ValueBytes == 0 {
		c.ValueBytes = defaultEventBytes
	}
	if most := event.DefaultLimits().EventData; c.ValueBytes < 0 || c.ValueBytes > most {
		return c, fmt.Errorf("%d bytes of a value: must be 1 to %d", c.ValueBytes, most)
	}
	if c.Keys < 0 || c.Rounds < 0 || c.Duration < 0 || c.Warmup < 0 || c.GiveUpAfter < 0 {
		return c, errors.New("a count or a time is negative")
	}
	if c.Rounds == 0 {
		c.Rounds = defaultRounds
	}
	if c.Duration == 0 {
		c.Duration = defaultDuration
	}
	if c.Warmup == 0 {
		c.Warmup = defaultWarmup
	}
	if c.GiveUpAfter == 0 {
		c.GiveUpAfter = defaultGiveUp
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// KeysReport is what Keys measured. Its JSON form is stable.
type KeysReport struct {
	ValueBytes int         `json:"value_bytes"`
	Rounds     int         `json:"rounds"`
	Levels     []KeysLevel `json:"levels"`
}

// KeysLevel is the median of the rounds at one number of clients.
type KeysLevel struct {
	Clients int `json:"clients"`
	// Read is of linearizable gets, Put of puts, which are durable.
	Read Figure `json:"read"`
	Put  Figure `json:"put"`
	// Ratio is the rate of reads over that of puts, of the same round.
	Ratio  float64 `json:"ratio"`
	Errors int     `json:"errors"`
}

// WriteText writes the report as a table for people.
func (r KeysReport) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "linearizable gets and durable puts of %d-byte values; medians of %d rounds\n", r.ValueBytes, r.Rounds)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "clients\tgets/s\tp50\tp99\tputs/s\tp50\tp99\tratio\terrors\t")
	for _, l := range r.Levels {
		fmt.Fprintf(tw, "%d\t%.0f\t%s\t%s\t%.0f\t%s\t%s\t%.2f\t%d\t\n", l.Clients,
			l.Read.PerSecond, short(l.Read.P50), short(l.Read.P99), l.Put.PerSecond, short(l.Put.P50), short(l.Put.P99), l.Ratio, l.Errors)
	}
	return tw.Flush()
}

// WriteJSON writes the report as one line of JSON.
func (r KeysReport) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// keysBucket is made for a run, and deleted at its end; its events stay.
const keysBucket = "edri-bench"

// Keys measures linearizable reads of keys, beside durable puts in the same run. The
// error is for what prevents measuring.
func Keys(ctx context.Context, cfg KeysConfig) (KeysReport, error) {
	cfg, err := cfg.normalize()
	if err != nil {
		return KeysReport{}, fmt.Errorf("check benchmark settings: %w", err)
	}
	c, err := client.New(client.Config{Servers: cfg.Servers, Logger: cfg.Logger, GiveUpAfter: cfg.GiveUpAfter})
	if err != nil {
		return KeysReport{}, fmt.Errorf("open client: %w", err)
	}
	defer c.Close()
	if _, err := c.EnsureBucket(ctx, keysBucket, client.BucketConfig{}); err != nil {
		return KeysReport{}, fmt.Errorf("make a bucket: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.GiveUpAfter)
		defer cancel()
		if err := c.DeleteBucket(ctx, keysBucket); err != nil {
			cfg.Progress(fmt.Sprintf("bucket %s stays: %v", keysBucket, err))
		}
	}()
	k := &keysRun{cfg: cfg, bucket: c.Bucket(keysBucket), value: make([]byte, cfg.ValueBytes)}
	if err := k.fill(ctx, c); err != nil {
		return KeysReport{}, fmt.Errorf("put keys: %w", err)
	}
	report := KeysReport{ValueBytes: cfg.ValueBytes, Rounds: cfg.Rounds}
	for _, clients := range cfg.Clients {
		level, err := k.level(ctx, clients)
		if err != nil {
			return report, err
		}
		report.Levels = append(report.Levels, level)
	}
	return report, nil
}

type keysRun struct {
	cfg    KeysConfig
	bucket *client.Bucket
	value  []byte
}

func (k *keysRun) key(client, n int) string {
	return fmt.Sprintf("key/%d", (client*7919+n)%k.cfg.Keys)
}

// fill puts every key.
func (k *keysRun) fill(ctx context.Context, c *client.Client) error {
	ops := make([]client.Op, k.cfg.Keys)
	for i := range ops {
		ops[i] = client.PutKeyOp(keysBucket, k.key(0, i), k.value, client.PutOptions{})
	}
	for some := range slices.Chunk(ops, 500) {
		if _, err := c.Commit(ctx, some...); err != nil {
			return err
		}
	}
	return nil
}

func (k *keysRun) level(ctx context.Context, clients int) (KeysLevel, error) {
	level := KeysLevel{Clients: clients}
	var reads, puts []Figure
	var ratios []float64
	for round := range k.cfg.Rounds {
		read := closedLoop(ctx, clients, k.cfg.Warmup, k.cfg.Duration, k.get)
		put := closedLoop(ctx, clients, k.cfg.Warmup, k.cfg.Duration, k.put)
		if err := context.Cause(ctx); err != nil {
			return level, fmt.Errorf("measure %d clients: %w", clients, err)
		}
		for _, o := range []outcome{read, put} {
			if o.answered == 0 && o.firstError != nil {
				return level, fmt.Errorf("measure %d clients: nothing was answered: %w", clients, o.firstError)
			}
			level.Errors += o.errors
		}
		reads, puts = append(reads, read.figure), append(puts, put.figure)
		if put.figure.PerSecond > 0 {
			ratios = append(ratios, read.figure.PerSecond/put.figure.PerSecond)
		}
		k.cfg.Progress(fmt.Sprintf("round %d/%d, %d clients: %.0f gets/s, p50 %s; %.0f puts/s, p50 %s", round+1, k.cfg.Rounds, clients,
			read.figure.PerSecond, short(read.figure.P50), put.figure.PerSecond, short(put.figure.P50)))
	}
	level.Read, level.Put, level.Ratio = medianFigure(reads), medianFigure(puts), median(ratios)
	return level, nil
}

func (k *keysRun) get(ctx context.Context, c, n int) error {
	_, err := k.bucket.Get(ctx, k.key(c, n), client.KeyReadOptions{})
	return err
}

func (k *keysRun) put(ctx context.Context, c, n int) error {
	_, err := k.bucket.Put(ctx, k.key(c, n), k.value, client.PutOptions{})
	return err
}
