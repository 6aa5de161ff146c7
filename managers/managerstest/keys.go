package managerstest

import (
	"bytes"
	"context"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

var _ managers.KeyReader = (*Cluster)(nil)

// ReadKey returns a key. Keys never expire here, and their changes are no events.
func (c *Cluster) ReadKey(_ context.Context, bucket, key string) (managers.Key, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.keys[[2]string{bucket, key}]
	if !ok {
		return managers.Key{}, event.Errorf(event.CodeNotFound, "key %q of bucket %q does not exist", key, bucket)
	}
	return k, nil
}

// checkKeysLocked holds the changes of one commit to what they expect.
func (c *Cluster) checkKeysLocked(changes []managers.KeyChange) error {
	for _, k := range changes {
		if actual := c.keys[placeOf(k)].Revision; k.Expected != nil && *k.Expected != actual {
			return event.Errorf(event.CodeRevisionConflict, "key %q is at revision %d, expected %d", k.Key, actual, *k.Expected)
		}
	}
	return nil
}

func (c *Cluster) changeKeysLocked(changes []managers.KeyChange) {
	for _, k := range changes {
		c.keyChanges++
		place := placeOf(k)
		if k.Delete {
			delete(c.keys, place)
			continue
		}
		c.keys[place] = managers.Key{
			Bucket: place[0], Key: k.Key, Value: bytes.Clone(k.Value), ContentType: k.ContentType, Revision: c.keyChanges,
		}
	}
}

func placeOf(k managers.KeyChange) [2]string {
	if k.Bucket == "" {
		return [2]string{managers.DefaultBucket, k.Key}
	}
	return [2]string{k.Bucket, k.Key}
}
