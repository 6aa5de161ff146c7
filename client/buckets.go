package client

import (
	"context"
	"iter"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// BucketConfig are the limits of a bucket. The zero value is the default.
type BucketConfig struct {
	// History is how many changes of a key are kept, the last included; default 1, at
	// most 1,000.
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

// BucketInfo is a bucket as it is.
type BucketInfo struct {
	Name string
	BucketConfig
	// ID is of no other bucket, whatever its name was.
	ID uint64
	// Keys counts its keys, ValueBytes the bytes of their values.
	Keys, ValueBytes uint64
}

// CreateBucket makes a bucket, or fails with exists.
func (c *Client) CreateBucket(ctx context.Context, name string, config BucketConfig) (BucketInfo, error) {
	return c.changeBucket(ctx, name, config, opCreateBucket, false)
}

// EnsureBucket makes a bucket, or gives the one that is there this config.
func (c *Client) EnsureBucket(ctx context.Context, name string, config BucketConfig) (BucketInfo, error) {
	return c.changeBucket(ctx, name, config, opCreateBucket, true)
}

// UpdateBucket replaces the config, for changes from then on.
func (c *Client) UpdateBucket(ctx context.Context, name string, config BucketConfig) (BucketInfo, error) {
	return c.changeBucket(ctx, name, config, opUpdateBucket, false)
}

func (c *Client) changeBucket(ctx context.Context, name string, config BucketConfig, number int32, ensure bool) (BucketInfo, error) {
	m, err := config.message()
	if err != nil {
		return BucketInfo{}, err
	}
	op := keyOp(number, &edriv1.CreateBucket{Name: name, Config: m, Ensure: ensure}) // an update has the same fields
	result, err := c.Commit(ctx, op)
	if err != nil {
		return BucketInfo{}, err
	}
	return c.BucketInfo(ctx, name, KeyReadOptions{MinPosition: result.Position})
}

func (b BucketConfig) message() (*edriv1.BucketConfig, error) {
	const most = 1<<32 - 1
	switch {
	case b.History < 0 || b.History > most:
		return nil, event.Errorf(event.CodeInvalid, "config.history: %d is out of range", b.History)
	case b.MaxValueBytes < 0 || b.MaxValueBytes > most:
		return nil, event.Errorf(event.CodeInvalid, "config.max_value_bytes: %d is out of range", b.MaxValueBytes)
	}
	return &edriv1.BucketConfig{
		History: uint32(b.History), Ttl: int64(b.TTL), MaxValueBytes: uint32(b.MaxValueBytes),
		MaxKeys: b.MaxKeys, KeepDeleted: int64(b.KeepDeleted),
	}, nil
}

// DeleteBucket ends a bucket with all its keys.
func (c *Client) DeleteBucket(ctx context.Context, name string) error {
	_, err := c.Commit(ctx, keyOp(opDeleteBucket, &edriv1.DeleteBucket{Name: name}))
	return err
}

// BucketInfo returns how a bucket is, or not_found.
func (c *Client) BucketInfo(ctx context.Context, name string, o KeyReadOptions) (info BucketInfo, err error) {
	request := &edriv1.GetBucketRequest{Name: name, Consistency: o.consistency(), MinPosition: uint64(o.MinPosition)}
	err = c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.getBucket.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			info = newBucketInfo(response.Msg)
		}
		return err
	})
	return info, err
}

// Buckets returns the buckets whose names begin with prefix, in the order of their names'
// bytes. The sequence ends after the first error.
func (c *Client) Buckets(ctx context.Context, prefix string, o KeyReadOptions) iter.Seq2[BucketInfo, error] {
	return func(yield func(BucketInfo, error) bool) {
		request := &edriv1.ListBucketsRequest{Prefix: prefix, Consistency: o.consistency(), MinPosition: uint64(o.MinPosition)}
		for more := true; more; {
			var page *edriv1.ListBucketsResponse
			err := c.ask(ctx, func(ctx context.Context, n *server) error {
				response, err := n.listBuckets.CallUnary(ctx, connect.NewRequest(request))
				if err == nil {
					page = response.Msg
				}
				return err
			})
			if err != nil {
				yield(BucketInfo{}, err)
				return
			}
			for _, b := range page.Buckets {
				if !yield(newBucketInfo(b), nil) {
					return
				}
				request.After = b.Name
			}
			more = page.More && len(page.Buckets) > 0
		}
	}
}

func newBucketInfo(m *edriv1.Bucket) BucketInfo {
	info := BucketInfo{Name: m.Name, ID: m.Id, Keys: m.Keys, ValueBytes: m.ValueBytes}
	if c := m.Config; c != nil {
		info.BucketConfig = BucketConfig{
			History: int(c.History), TTL: time.Duration(c.Ttl), MaxValueBytes: int(c.MaxValueBytes),
			MaxKeys: c.MaxKeys, KeepDeleted: time.Duration(c.KeepDeleted),
		}
	}
	return info
}
