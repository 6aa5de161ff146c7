package kv

import (
	"fmt"
	"strconv"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// The bounds of a bucket's config and of what is in it. The defaults are part of what
// entries mean: they never change.
const (
	// DefaultBucket is the bucket that its first put makes.
	DefaultBucket = "default"
	// MaxBucketName is the length of the longest name, so that the stream's is one.
	MaxBucketName = event.MaxNameBytes - len(StreamPrefix)
	// StreamPrefix begins the name of a bucket's stream.
	StreamPrefix = "kv/"
	// MaxKeyBytes is the length of the longest key.
	MaxKeyBytes = 1 << 10
	// MaxValueBytes is the size of the largest value.
	MaxValueBytes = event.MaxDataBytes
	// MaxHistory is how many changes of a key are kept at most.
	MaxHistory = 1000

	defaultKeepDeleted = 24 * time.Hour
	minTTL             = time.Millisecond
	maxTTL             = 100 * 365 * 24 * time.Hour
	maxBuckets         = 10_000
)

// Config are the limits of a bucket.
type Config struct {
	// History is how many changes of a key are kept, the last included; 1 to 1,000,
	// default 1.
	History int
	// TTL is after how long a key expires that is put without one; 0: never.
	TTL time.Duration
	// MaxValueBytes is the size of the largest value; default and at most 1 MiB.
	MaxValueBytes int
	// MaxKeys is how many keys there may be; 0: no bound.
	MaxKeys uint64
	// KeepDeleted is how long the history of a key stays that is not there any more;
	// default one day.
	KeepDeleted time.Duration
}

// decodeConfig reads an edri.v1.BucketConfig with the defaults for what it leaves out.
// Its errors are *event.Error.
func decodeConfig(b []byte) (Config, error) {
	var history, maxValue uint32
	var c Config
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetUint32(&history)
		case 2:
			f.SetInt64((*int64)(&c.TTL))
		case 3:
			f.SetUint32(&maxValue)
		case 4:
			f.SetUint64(&c.MaxKeys)
		case 5:
			f.SetInt64((*int64)(&c.KeepDeleted))
		default:
			f.Unknown()
		}
	}
	if err := f.Err(); err != nil {
		return c, event.Errorf(event.CodeInvalid, "config: %v", err)
	}
	switch {
	case history > MaxHistory:
		return c, event.Errorf(event.CodeInvalid, "config.history: %d is not within 1 and %d", history, MaxHistory)
	case maxValue > MaxValueBytes:
		return c, event.TooLarge("config.max_value_bytes", int64(maxValue), MaxValueBytes)
	case c.KeepDeleted < 0 || c.KeepDeleted > maxTTL:
		return c, event.Errorf(event.CodeInvalid, "config.keep_deleted: %v is not within 0 and %v", c.KeepDeleted, maxTTL)
	}
	if err := checkTTL("config.ttl", c.TTL); err != nil {
		return c, err
	}
	c.History, c.MaxValueBytes = int(max(history, 1)), int(maxValue)
	if c.MaxValueBytes == 0 {
		c.MaxValueBytes = MaxValueBytes
	}
	if c.KeepDeleted == 0 {
		c.KeepDeleted = defaultKeepDeleted
	}
	return c, nil
}

// checkTTL checks a time to live; 0 is for ever.
func checkTTL(field string, ttl time.Duration) error {
	if ttl != 0 && (ttl < minTTL || ttl > maxTTL) {
		return event.Errorf(event.CodeInvalid, "%s: %v is neither 0 nor within %v and %v", field, ttl, minTTL, maxTTL)
	}
	return nil
}

// appliedConfig reads the config of a row.
func appliedConfig(b []byte) (Config, error) {
	c, err := decodeConfig(b)
	if err != nil {
		return c, fmt.Errorf("%w: config of a bucket: %v", errRow, err)
	}
	return c, nil
}

// appendJSON appends the config, durations in nanoseconds, as the data of an event, which is part of the replicated
// history and so written here, to the byte.
func (c Config) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"history":`...)
	dst = strconv.AppendInt(dst, int64(c.History), 10)
	dst = append(dst, `,"ttl":"`...)
	dst = strconv.AppendInt(dst, int64(c.TTL), 10)
	dst = append(dst, `","max_value_bytes":`...)
	dst = strconv.AppendInt(dst, int64(c.MaxValueBytes), 10)
	dst = append(dst, `,"max_keys":`...)
	dst = strconv.AppendUint(dst, c.MaxKeys, 10)
	dst = append(dst, `,"keep_deleted":"`...)
	dst = strconv.AppendInt(dst, int64(c.KeepDeleted), 10)
	return append(dst, `"}`...)
}
