package kv

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// A reader that goes from bucket to bucket, some of which are not there, takes no key for
// another's.
func TestAReaderGoesFromBucketToBucket(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	c.do(makeBucket("a", nil), makeBucket("b", nil), put("a", "k", "in a"), put("b", "k", "in b"), put("b", "l", "other"))
	v := c.core.View()
	defer v.Close()
	r := NewReader(v)
	var dst []byte
	for _, step := range []struct {
		bucket, key, value string
		err                event.Code
	}{
		{"a", "k", "in a", ""}, {"b", "k", "in b", ""}, {"b", "l", "other", ""}, {"a", "l", "", event.CodeNotFound},
		{"none", "k", "", event.CodeNotFound}, {"none", "k", "", event.CodeNotFound}, {"default", "k", "", event.CodeNotFound},
		{"", "k", "", event.CodeInvalid}, {"b", "", "", event.CodeInvalid}, {"b", "a\tb", "", event.CodeInvalid},
		{"b\n", "k", "", event.CodeInvalid}, {"a", "k", "in a", ""},
	} {
		b, err := r.AppendEntry(dst[:0], []byte(step.bucket), []byte(step.key))
		dst = b
		e := &edriv1.KeyEntry{}
		if err := proto.Unmarshal(b, e); err != nil {
			t.Fatal(err)
		}
		if event.CodeOf(err) != step.err && (err != nil || step.err != "") || string(e.Value) != step.value {
			t.Errorf("%s/%s: %q, %v", step.bucket, step.key, e.Value, err)
		}
	}
}
