package kv

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

// bodyOf returns the number and the message of an operation.
func bodyOf(t testing.TB, op *edriv1.Op) (uint32, []byte) {
	t.Helper()
	b, err := proto.Marshal(op)
	if err != nil {
		t.Fatal(err)
	}
	number, _, n := protowire.ConsumeTag(b)
	body, _ := protowire.ConsumeBytes(b[n:])
	return uint32(number), body
}

func TestCheckRefusesWhatApplyCouldNotDo(t *testing.T) {
	t.Parallel()
	m := New(timers.New())
	manyOps := make([]*edriv1.KeyOp, 10_000)
	for i := range manyOps {
		manyOps[i] = inTransaction(put("b", "k", "v"))
	}
	for name, c := range map[string]struct {
		op   *edriv1.Op
		want string // in the error; empty: it is accepted
	}{
		"a put":                  {put("b", "k", "v"), ""},
		"no bucket":              {put("", "k", "v"), "bucket: is missing"},
		"no key":                 {put("b", "", "v"), "key: is missing"},
		"a long key":             {put("b", strings.Repeat("k", MaxKeyBytes+1), "v"), "key in bytes: 1025 is more than 1024"},
		"the longest key":        {put("b", strings.Repeat("k", MaxKeyBytes), "v"), ""},
		"a key with a line feed": {put("b", "a\nb", "v"), "key \"a\\nb\": has the character U+000A"},
		"a key with a zero byte": {put("b", "a\x00b", "v"), "key"},

		"a long bucket":           {put(strings.Repeat("b", MaxBucketName+1), "k", "v"), "bucket in bytes"},
		"a large value":           {put("b", "k", strings.Repeat("v", MaxValueBytes+1)), "value in bytes: 1048577 is more than 1048576"},
		"the largest value":       {put("b", "k", strings.Repeat("v", MaxValueBytes)), ""},
		"a negative ttl":          {putFor("b", "k", "v", -time.Second), "ttl: -1s"},
		"a short ttl":             {putFor("b", "k", "v", time.Microsecond), "ttl"},
		"a long ttl":              {putFor("b", "k", "v", 1<<62), "ttl"},
		"no ttl":                  {putFor("b", "k", "v", 0), ""},
		"a condition of a put":    {putIf("b", "k", "v", 1), ""},
		"a revision":              {putIf("b", "k", "v", 1<<63), "out of range"},
		"no media type":           {putOf(&edriv1.PutKey{Bucket: "b", Key: "k", ContentType: "text\n"}), "content_type"},
		"a media type":            {putOf(&edriv1.PutKey{Bucket: "b", Key: "k", ContentType: "text/plain; charset=utf-8"}), ""},
		"a delete":                {remove("b", "k"), ""},
		"a delete of nothing":     {remove("b", ""), "key"},
		"a condition":             {comparing(atRevision("b", "k", 0)), ""},
		"no condition":            {comparing(&edriv1.CompareKey{Bucket: "b", Key: "k"}), "condition: is missing"},
		"a condition on nothing":  {comparing(atRevision("b", "", 1)), "key"},
		"a large comparison":      {comparing(valued("b", "k", strings.Repeat("v", MaxValueBytes+1))), "value in bytes"},
		"an empty transaction":    {transact(&edriv1.KeyTransaction{}), ""},
		"the largest transaction": {transact(&edriv1.KeyTransaction{Then: manyOps[:maxTransaction]}), ""},
		"a large transaction":     {transact(&edriv1.KeyTransaction{Otherwise: manyOps}), "compare, then and otherwise: 10000 is more than 512"},
		"an empty operation":      {transact(&edriv1.KeyTransaction{Then: []*edriv1.KeyOp{{}}}), "then[0]"},
		"a bad operation": {transact(&edriv1.KeyTransaction{Otherwise: []*edriv1.KeyOp{getting("b", "k"), inTransaction(put("b", "\t", ""))}}),
			"otherwise[1].put.key"},
		"a bad condition":   {transact(&edriv1.KeyTransaction{Compare: []*edriv1.CompareKey{atRevision("", "k", 1)}}), "compare[0].bucket"},
		"a bucket":          {makeBucket("b", &edriv1.BucketConfig{History: 1000, Ttl: 1e9, MaxValueBytes: 1 << 20, MaxKeys: 5, KeepDeleted: 5}), ""},
		"no name":           {makeBucket("", nil), "name: is missing"},
		"a long history":    {makeBucket("b", &edriv1.BucketConfig{History: 1001}), "config.history"},
		"a negative time":   {changeBucket("b", &edriv1.BucketConfig{Ttl: -1}), "config.ttl"},
		"a negative keep":   {changeBucket("b", &edriv1.BucketConfig{KeepDeleted: -1}), "config.keep_deleted"},
		"large values":      {makeBucket("b", &edriv1.BucketConfig{MaxValueBytes: 1<<20 + 1}), "config.max_value_bytes"},
		"a deletion":        {dropBucket("b"), ""},
		"a nameless bucket": {dropBucket(""), "name"},
	} {
		number, body := bodyOf(t, c.op)
		err := m.Check(number, body)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error about %q", name, err, c.want)
		}
	}
	if err := m.Check(opPut, []byte{10, 1, 'b', 18, 1, 0xff}); err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("a key that is not UTF-8: %v", err)
	}
	if err := m.Check(opLast, nil); err == nil {
		t.Error("an unknown operation is accepted")
	}
}

// What Check accepts means to the hand-written decoder what it means to the generated
// one, and apply does not stumble over it.
// A transaction counts as what is in it: no commit does more than one may have operations.
func TestTransactionsCountAsTheirParts(t *testing.T) {
	t.Parallel()
	c := newCabinet(t)
	of := func(parts int) *edriv1.Op {
		txn := &edriv1.KeyTransaction{Compare: []*edriv1.CompareKey{existing("default", "k", false)}, Then: []*edriv1.KeyOp{inTransaction(put("default", "k", "v"))}}
		for range parts - 2 {
			txn.Otherwise = append(txn.Otherwise, getting("default", "k"))
		}
		return transact(txn)
	}
	var eight, seven []*edriv1.Op
	for range 8 {
		eight = append(eight, of(128))
	}
	seven = append(seven, eight[:7]...)
	for range 1000 - 7*128 {
		seven = append(seven, put("default", "k", "v"))
	}
	for name, commit := range map[string]struct {
		ops  []*edriv1.Op
		want string
	}{
		"eight of 128":  {eight, "operations of a commit, those within its operations included: 1024 is more than 1000"},
		"1,000 in all":  {seven, ""},
		"1,001 in all":  {append(seven[:len(seven):len(seven)], put("default", "k", "v")), "1001 is more than 1000"},
		"two of 512":    {[]*edriv1.Op{of(512), of(512)}, "1024 is more than 1000"},
		"one of 10,000": {[]*edriv1.Op{of(10_000)}, "10000 is more than 1000"},
		"one of 512":    {[]*edriv1.Op{of(512)}, ""},
		"one of 513":    {[]*edriv1.Op{of(513)}, "compare, then and otherwise: 513 is more than 512"},
		"an empty one":  {[]*edriv1.Op{transact(&edriv1.KeyTransaction{})}, ""},
	} {
		b, err := proto.Marshal(&edriv1.Commit{Ops: commit.ops})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.cfg.Machines.CheckCommit(b, event.DefaultLimits())
		switch {
		case commit.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case commit.want != "" && (event.CodeOf(err) != event.CodeTooLarge || !strings.Contains(err.Error(), commit.want)):
			t.Errorf("%s: %v, want %s", name, err, commit.want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, op := range []*edriv1.Op{
		makeBucket("b", &edriv1.BucketConfig{History: 3, Ttl: 1e9, MaxValueBytes: 9, MaxKeys: 5, KeepDeleted: 5}), changeBucket("b", nil), dropBucket("b"),
		putFor("b", "k", "v", time.Second), putIf("b", "k", "v", 0), purge("b", "k"), comparing(existing("b", "k", true)), comparing(valued("b", "k", "v")),
		transact(&edriv1.KeyTransaction{Compare: []*edriv1.CompareKey{atRevision("b", "k", 1)}, Then: []*edriv1.KeyOp{inTransaction(put("b", "k", "v")), inTransaction(remove("b", "k"))},
			Otherwise: []*edriv1.KeyOp{getting("b", "k")}}),
	} {
		number, body := bodyOf(f, op)
		f.Add(number, body)
	}
	f.Fuzz(func(t *testing.T, number uint32, body []byte) {
		m := New(timers.New())
		if number < opFirst || number > opTransact || m.Check(number, body) != nil {
			return
		}
		op := &edriv1.Op{}
		if err := proto.Unmarshal(protowire.AppendBytes(protowire.AppendTag(nil, protowire.Number(number), protowire.BytesType), body), op); err != nil {
			t.Fatalf("generated code refuses %x: %v", body, err)
		}
		if len(op.ProtoReflect().GetUnknown()) > 0 {
			t.Fatalf("unknown fields in %x", body)
		}
		if p := op.GetPutKey(); p != nil {
			o, err := decodePut(body)
			if err != nil || string(o.bucket) != p.Bucket || string(o.key) != p.Key || !bytes.Equal(o.value, p.Value) || string(o.contentType) != p.ContentType ||
				o.ttlGiven != (p.Ttl != nil) || o.ttl != p.GetTtl() || (o.expected == revisionAny) != (p.Revision == nil) || p.Revision != nil && uint64(o.expected) != *p.Revision {
				t.Fatalf("%v became %+v, %v", p, o, err)
			}
		}
		if x := op.GetKeyTransaction(); x != nil {
			o, err := decodeTransact(body)
			if err != nil || len(o.compare) != len(x.Compare) || len(o.then) != len(x.Then) || len(o.otherwise) != len(x.Otherwise) {
				t.Fatalf("%v became %+v, %v", x, o, err)
			}
			for i, c := range x.Compare {
				if q := o.compare[i]; uint64(q.revision) != c.GetRevision() || q.exists != c.GetExists() || !bytes.Equal(q.value, c.GetValue()) || string(q.key) != c.Key {
					t.Fatalf("%v became %+v", c, q)
				}
			}
		}
		c := newCabinet(t)
		c.must(makeBucket("b", nil))
		c.must(put("b", "k", "v"))
		c.raw(internal(number, body))
		c.pass(time.Hour)
	})
}

// No bytes stumble apply.
func FuzzApply(f *testing.F) {
	number, body := bodyOf(f, transact(&edriv1.KeyTransaction{Then: []*edriv1.KeyOp{inTransaction(put("b", "k", "v"))}}))
	f.Add(number, body)
	f.Fuzz(func(t *testing.T, number uint32, body []byte) {
		if number < opFirst || number > opTransact {
			return
		}
		c := newCabinet(t)
		c.must(makeBucket("b", nil))
		_, _ = c.try(internal(number, body)) // an error stops the node; a panic is none of these
	})
}

// Rows that are read are written to the same bytes.
func FuzzRows(f *testing.F) {
	for _, row := range [][]byte{
		(&entry{kind: KindExpired, revision: 1, created: 2, stamp: 3, due: 4, timer: 5, kept: 6, cut: true, contentType: []byte("t/t"), value: []byte("v")}).append(nil),
		(&bucket{id: 1, config: []byte("c")}).append(nil),
		(&content{keys: 1, bytes: 2, floor: 3, name: []byte("n")}).append(nil),
	} {
		f.Add(row)
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		again := map[string][]byte{}
		if e, err := parseEntry(row); err == nil {
			again["entry"] = e.append(nil)
		}
		if b, err := parseBucket(row); err == nil {
			again["bucket"] = b.append(nil)
		}
		if c, err := parseContent(row); err == nil {
			again["content"] = c.append(nil)
		}
		for what, b := range again {
			// A number may be written longer than it has to be, and true as any byte.
			if len(b) > len(row) {
				t.Errorf("%s %s became %s", what, hex.EncodeToString(row), hex.EncodeToString(b))
			}
		}
	})
}
