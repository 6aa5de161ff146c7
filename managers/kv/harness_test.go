package kv

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/timers"
)

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

// cabinet is a core with the machine and its timers. Operations are built and results
// are read with the generated types: the hand-written codec is held to them by every test.
type cabinet struct {
	failer
	core  *consensus.Core
	cfg   consensus.CoreConfig
	dir   string
	index uint64
	now   int64
	// entries are all that was applied.
	entries [][]byte
}

var testEpoch = event.Epoch{1}

func newCabinet(t testing.TB) *cabinet {
	t.Helper()
	c := openCabinet(t, t.TempDir())
	t.Cleanup(func() { _ = c.core.Close() })
	return c
}

func openCabinet(t failer, dir string) *cabinet {
	t.Helper()
	c := &cabinet{failer: t, dir: dir, now: 1000, cfg: coreConfig(t)}
	c.open()
	c.raw(consensus.LeadCommit("n1", testEpoch, 0))
	return c
}

func coreConfig(t failer) consensus.CoreConfig {
	table := timers.New()
	mux, err := consensus.NewMux(table, New(table))
	if err != nil {
		t.Fatalf("mux: %v", err)
	}
	return consensus.CoreConfig{Machines: mux, InitialMmap: 1 << 24}
}

func (c *cabinet) open() {
	c.Helper()
	core, err := consensus.OpenCore(c.dir, c.cfg)
	if err != nil {
		c.Fatalf("open core: %v", err)
	}
	c.core = core
}

// reopen opens the core again: flushed, or as after a crash, with the entries applied
// again that were not.
func (c *cabinet) reopen(flush bool) {
	c.Helper()
	if f := c.core.Freeze(); flush && f != nil {
		if err := f.Run(); err != nil {
			c.Fatalf("flush: %v", err)
		}
	}
	if err := c.core.Close(); err != nil {
		c.Fatalf("close core: %v", err)
	}
	c.open()
	applied, _ := c.core.AppliedIndex()
	for i := applied; i < c.index; i++ {
		if _, err := c.core.Apply(i+1, 1, c.entries[i]); err != nil {
			c.Fatalf("apply again: %v", err)
		}
	}
	c.core.Publish()
}

func (c *cabinet) raw(commit []byte) *edriv1.CommitResult {
	c.Helper()
	r, err := c.try(commit)
	if err != nil {
		c.Fatalf("apply: %v", err)
	}
	return r
}

func (c *cabinet) try(commit []byte) (*edriv1.CommitResult, error) {
	c.Helper()
	c.index++
	entry := consensus.EncodeEntry(consensus.EntryHeader{Feature: 1, Epoch: testEpoch, Now: c.now, Stamp: c.now}, [][]byte{commit})
	c.entries = append(c.entries, entry)
	outcomes, err := c.core.Apply(c.index, 1, entry)
	if err != nil {
		return nil, err
	}
	c.core.Publish()
	r := &edriv1.CommitResult{}
	if err := proto.Unmarshal(outcomes[0].Result, r); err != nil {
		c.Fatalf("decode result: %v", err)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
	if err != nil || string(again) != string(outcomes[0].Result) {
		c.Fatalf("result is %x, generated code writes %x", outcomes[0].Result, again)
	}
	return r, nil
}

// do executes a commit of a client.
func (c *cabinet) do(ops ...*edriv1.Op) *edriv1.CommitResult {
	c.Helper()
	b, err := proto.Marshal(&edriv1.Commit{Ops: ops})
	if err != nil {
		c.Fatalf("encode: %v", err)
	}
	info, err := c.cfg.Machines.CheckCommit(b, event.DefaultLimits())
	if err != nil {
		c.Fatalf("check commit: %v", err)
	}
	return c.raw(consensus.SealCommit(nil, b, info, 0))
}

// must is do for one operation that holds.
func (c *cabinet) must(op *edriv1.Op) *edriv1.OpResult {
	c.Helper()
	r := c.do(op)
	if r.Error != nil {
		c.Fatalf("%v: %v", op, r.Error)
	}
	return r.Results[0]
}

// fails is do for one operation that is refused with a code.
func (c *cabinet) fails(code event.Code, op *edriv1.Op) *edriv1.Error {
	c.Helper()
	r := c.do(op)
	if r.Error.GetCode() != string(code) {
		c.Fatalf("%v: got %v, want %s", op, r, code)
	}
	return r.Error
}

func internal(op uint32, body []byte) []byte {
	o := protowire.AppendBytes(protowire.AppendTag(nil, protowire.Number(op), protowire.BytesType), body)
	b := protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), o)
	return consensus.SealCommit(nil, b, consensus.CommitInfo{}, 0)
}

// pass lets time go by and fires what is due.
func (c *cabinet) pass(d time.Duration) {
	c.Helper()
	c.now += int64(d)
	for range 3 { // what is set while firing fires in the next entry
		if r := c.raw(internal(16, []byte{8, 100})); r.Error != nil {
			c.Fatalf("fire: %v", r.Error)
		}
	}
}

func makeBucket(name string, config *edriv1.BucketConfig) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_CreateBucket{CreateBucket: &edriv1.CreateBucket{Name: name, Config: config}}}
}

func changeBucket(name string, config *edriv1.BucketConfig) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_UpdateBucket{UpdateBucket: &edriv1.UpdateBucket{Name: name, Config: config}}}
}

func dropBucket(name string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_DeleteBucket{DeleteBucket: &edriv1.DeleteBucket{Name: name}}}
}

func putOf(p *edriv1.PutKey) *edriv1.Op { return &edriv1.Op{Op: &edriv1.Op_PutKey{PutKey: p}} }

func put(bucket, key, value string) *edriv1.Op {
	return putOf(&edriv1.PutKey{Bucket: bucket, Key: key, Value: []byte(value)})
}

func putIf(bucket, key, value string, revision uint64) *edriv1.Op {
	return putOf(&edriv1.PutKey{Bucket: bucket, Key: key, Value: []byte(value), Revision: &revision})
}

func putFor(bucket, key, value string, ttl time.Duration) *edriv1.Op {
	return putOf(&edriv1.PutKey{Bucket: bucket, Key: key, Value: []byte(value), Ttl: proto.Int64(int64(ttl))})
}

func removeOf(d *edriv1.DeleteKey) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_DeleteKey{DeleteKey: d}}
}

func remove(bucket, key string) *edriv1.Op {
	return removeOf(&edriv1.DeleteKey{Bucket: bucket, Key: key})
}

func purge(bucket, key string) *edriv1.Op {
	return removeOf(&edriv1.DeleteKey{Bucket: bucket, Key: key, Purge: true})
}

func comparing(c *edriv1.CompareKey) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_CompareKey{CompareKey: c}}
}

func atRevision(bucket, key string, revision uint64) *edriv1.CompareKey {
	return &edriv1.CompareKey{Bucket: bucket, Key: key, Condition: &edriv1.CompareKey_Revision{Revision: revision}}
}

func existing(bucket, key string, exists bool) *edriv1.CompareKey {
	return &edriv1.CompareKey{Bucket: bucket, Key: key, Condition: &edriv1.CompareKey_Exists{Exists: exists}}
}

func valued(bucket, key, value string) *edriv1.CompareKey {
	return &edriv1.CompareKey{Bucket: bucket, Key: key, Condition: &edriv1.CompareKey_Value{Value: []byte(value)}}
}

func transact(t *edriv1.KeyTransaction) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_KeyTransaction{KeyTransaction: t}}
}

func inTransaction(op *edriv1.Op) *edriv1.KeyOp {
	if p := op.GetPutKey(); p != nil {
		return &edriv1.KeyOp{Op: &edriv1.KeyOp_Put{Put: p}}
	}
	return &edriv1.KeyOp{Op: &edriv1.KeyOp_Delete{Delete: op.GetDeleteKey()}}
}

func getting(bucket, key string) *edriv1.KeyOp {
	return &edriv1.KeyOp{Op: &edriv1.KeyOp_Get{Get: &edriv1.GetKey{Bucket: bucket, Key: key}}}
}

// revision executes a put and returns the key's revision.
func (c *cabinet) revision(op *edriv1.Op) event.Position {
	c.Helper()
	return event.Position(c.must(op).GetKeyChanged().GetRevision())
}

func render(e Entry, err error) string {
	if err != nil {
		var code = string(event.CodeOf(err))
		if first := firstOf(err); first != 0 {
			code += fmt.Sprint(" ", first)
		}
		return code
	}
	return fmt.Sprintf("%s=%s@%d/%d", e.Key, e.Value, e.Revision, e.Created)
}

func firstOf(err error) event.Position {
	if e, ok := err.(*event.Error); ok {
		return e.First
	}
	return 0
}

func (c *cabinet) get(bucket, key string) string {
	v := c.core.View()
	defer v.Close()
	e, err := Get(v, bucket, key)
	c.readsTheSame(v, bucket, key, &e, err)
	return render(e, err)
}

// readsTheSame holds a Reader to what Get returned.
func (c *cabinet) readsTheSame(v *consensus.View, bucket, key string, want *Entry, wantErr error) {
	r := NewReader(v)
	for range 2 { // again with the bucket that it knows then
		b, err := r.AppendEntry(nil, []byte(bucket), []byte(key))
		got := &edriv1.KeyEntry{}
		if failed := proto.Unmarshal(b, got); failed != nil {
			c.Fatalf("decode what the reader appends: %v", failed)
		}
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			c.Fatalf("a reader of %s/%s: %v, Get: %v", bucket, key, err, wantErr)
		}
		if wantErr == nil && (got.Key != want.Key || !bytes.Equal(got.Value, want.Value) || got.ContentType != want.ContentType ||
			got.Revision != uint64(want.Revision) || got.Created != uint64(want.Created) || got.Stamp != want.Stamp || got.Expires != want.Expires) {
			c.Fatalf("a reader of %s/%s: %v, Get: %+v", bucket, key, got, want)
		}
	}
}

func (c *cabinet) getAt(bucket, key string, p event.Position) string {
	v := c.core.View()
	defer v.Close()
	return render(GetAt(v, bucket, key, p))
}

// history renders what is kept: "… put@1 deleted@2".
func (c *cabinet) history(bucket, key string) string {
	c.Helper()
	v := c.core.View()
	defer v.Close()
	list, more, cut, err := History(v, bucket, key, 0, MaxHistory)
	if err != nil || more {
		c.Fatalf("history: %v, more %v", err, more)
	}
	var parts []string
	if cut {
		parts = append(parts, "…")
	}
	for _, e := range list {
		parts = append(parts, fmt.Sprintf("%s@%d", []string{"put", "deleted", "expired"}[e.Kind], e.Revision))
	}
	return strings.Join(parts, " ")
}

func (c *cabinet) list(bucket, prefix, after string, limit int) string {
	c.Helper()
	v := c.core.View()
	defer v.Close()
	list, more, err := List(v, bucket, prefix, after, limit, true)
	if err != nil {
		return string(event.CodeOf(err))
	}
	var keys []string
	for _, e := range list {
		keys = append(keys, e.Key)
	}
	if more {
		keys = append(keys, "…")
	}
	return strings.Join(keys, " ")
}

func (c *cabinet) bucket(name string) Bucket {
	c.Helper()
	v := c.core.View()
	defer v.Close()
	b, err := BucketOf(v, name)
	if err != nil {
		c.Fatalf("bucket: %v", err)
	}
	return b
}

// changes renders what a watch of a bucket is told: "put a=1@1 | deleted a@2", a bar
// between commits.
func (c *cabinet) changes(w Watched) string {
	c.Helper()
	v := c.core.View()
	defer v.Close()
	r := v.Journal().Read(log.Query{Stream: w.Stream()})
	defer r.Close()
	var out strings.Builder
	var commit event.Position
	for r.Next() {
		record := r.Record()
		change, ok, err := w.Change(&record)
		if err != nil {
			c.Fatalf("change: %v", err)
		}
		if !ok {
			continue
		}
		switch {
		case commit != 0 && commit != change.Commit:
			out.WriteString(" | ")
		case commit != 0:
			out.WriteString(" ")
		}
		commit = change.Commit
		fmt.Fprint(&out, []string{"put ", "deleted ", "expired ", "gone "}[change.Kind], change.Key)
		if change.Kind == KindPut {
			fmt.Fprintf(&out, "=%s", change.Value)
		}
		fmt.Fprintf(&out, "@%d", change.Revision)
	}
	if err := r.Err(); err != nil {
		c.Fatalf("read: %v", err)
	}
	return out.String()
}

// rows counts the rows of a kind, or the timers for 't'.
func (c *cabinet) rows(kind byte) int {
	c.Helper()
	v := c.core.View()
	defer v.Close()
	machine, lo, hi := machineName, []byte{kind}, []byte{kind + 1}
	if kind == 't' {
		machine, lo, hi = "timers", nil, nil
	}
	it := v.Scan(machine, lo, hi, false)
	defer it.Close()
	n := 0
	for it.Next() {
		n++
	}
	if err := it.Err(); err != nil {
		c.Fatalf("scan: %v", err)
	}
	return n
}

func equal[T comparable](t failer, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}
