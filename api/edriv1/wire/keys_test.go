package wire

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
)

func TestReadsOfKeysAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	b := AppendGetKey(AppendGetKey(nil, "b", "one"), "", "")
	b = AppendGetConsistency(b, int32(edriv1.Consistency_CONSISTENCY_LINEARIZABLE))
	same(t, b, &edriv1.GetManyKeysRequest{}, &edriv1.GetManyKeysRequest{
		Keys: []*edriv1.GetKey{{Bucket: "b", Key: "one"}, {}}, Consistency: edriv1.Consistency_CONSISTENCY_LINEARIZABLE,
	})

	entry := &edriv1.KeyEntry{
		Key: "k", Value: []byte("v"), ContentType: "text/plain", Revision: 1 << 40, Created: 2, Stamp: 1 << 60, Expires: -1,
		Kind: edriv1.KeyEntry_EXPIRED,
	}
	failure := &edriv1.Error{Code: "not_found", Message: "none"}
	b = AppendFoundEntry(nil, marshal(t, entry))
	b = AppendFoundError(b, marshal(t, failure))
	b = AppendFoundPosition(AppendFoundEntry(b, nil), 9)
	same(t, b, &edriv1.GetManyKeysResponse{}, &edriv1.GetManyKeysResponse{
		Found: []*edriv1.KeyFound{
			{Found: &edriv1.KeyFound_Entry{Entry: entry}}, {Found: &edriv1.KeyFound_Error{Error: failure}},
			{Found: &edriv1.KeyFound_Entry{Entry: &edriv1.KeyEntry{}}},
		},
		Position: 9,
	})

	found, err := SplitFound(nil, append(b, marshal(t, &edriv1.GetManyKeysResponse{Found: []*edriv1.KeyFound{{}}})...))
	if err != nil || len(found) != 4 || found[0].Error != nil || found[1].Entry != nil || found[2].Entry == nil ||
		found[3].Entry != nil || found[3].Error != nil {
		t.Fatalf("split: %+v, %v", found, err)
	}
	var e KeyEntry
	if err := e.Decode(found[0].Entry); err != nil {
		t.Fatal(err)
	}
	got := &edriv1.KeyEntry{
		Key: string(e.Key), Value: e.Value, ContentType: string(e.ContentType), Revision: e.Revision, Created: e.Created,
		Stamp: e.Stamp, Expires: e.Expires, Kind: edriv1.KeyEntry_Kind(e.Kind),
	}
	if !proto.Equal(got, entry) {
		t.Errorf("got %v, want %v", got, entry)
	}
}

func FuzzFoundKeys(f *testing.F) {
	b := AppendFoundError(AppendFoundEntry(nil, []byte{0x0a, 0x01, 'k', 0x20, 0x05}), []byte{0x0a, 0x00})
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		found, err := SplitFound(nil, b)
		if known := proto.Unmarshal(b, &edriv1.GetManyKeysResponse{}); known == nil && err != nil {
			t.Errorf("what generated code reads is refused: %v", err)
		}
		for _, k := range found {
			var e KeyEntry
			_ = e.Decode(k.Entry)
		}
	})
}
