package kv

import (
	"errors"
	"strconv"
	"strings"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// Change is an entry that a commit made, as the event of it tells. Created is not told.
type Change struct {
	Entry
	// Commit is the same for all changes of a commit, and of no other.
	Commit event.Position
}

// Watched selects the changes that a watch is told.
type Watched struct {
	Bucket string
	// Key or Prefix; neither: all keys.
	Key, Prefix string
}

// Check returns an *event.Error unless there can be such keys.
func (w Watched) Check() error {
	if err := CheckBucketName(w.Bucket); err != nil {
		return err
	}
	if w.Key != "" && w.Prefix != "" {
		return event.Errorf(event.CodeInvalid, "key and prefix exclude each other")
	}
	if err := event.CheckText("key", w.Key, MaxKeyBytes); err != nil {
		return err
	}
	return event.CheckText("prefix", w.Prefix, MaxKeyBytes)
}

// Stream is the stream in which the changes are.
func (w Watched) Stream() string { return StreamPrefix + w.Bucket }

// matches reports whether a change is told. That of the whole bucket always is.
func (w Watched) matches(c *Change) bool {
	switch {
	case c.Kind == KindBucketDeleted:
		return true
	case w.Key != "":
		return c.Key == w.Key
	}
	return strings.HasPrefix(c.Key, w.Prefix)
}

// Change reads the change that a record of the stream is, false if it is none that the
// watch is told: another key's, a bucket's, or an event of somebody else.
func (w Watched) Change(r *log.Record) (Change, bool, error) {
	names := event.ScanNames(r.Event)
	kind, ok := kindOf(string(names.Type))
	if !ok || string(names.Source) != Source {
		return Change{}, false, nil
	}
	e, err := event.DecodeEvent(r.Event)
	if err != nil {
		return Change{}, false, errors.Join(errRow, err)
	}
	c := Change{Entry: Entry{
		Key: e.Subject, Value: e.Data, ContentType: e.DataContentType,
		Revision: r.Position, Stamp: r.Stamp, Kind: kind,
		Expires: expiresAt(e.Extensions[attrExpires]),
	}}
	if long, ok := e.Extensions[attrKey]; ok {
		c.Key = long.String()
	}
	commit, err := strconv.ParseUint(e.Extensions[attrCommit].String(), 10, 64)
	if err != nil {
		return Change{}, false, nil // a client's, which looks like ours
	}
	c.Commit = event.Position(commit)
	return c, w.matches(&c), nil
}

func kindOf(typ string) (Kind, bool) {
	switch typ {
	case typePut:
		return KindPut, true
	case typeDeleted:
		return KindDeleted, true
	case typeExpired:
		return KindExpired, true
	case typeBucketDeleted:
		return KindBucketDeleted, true
	}
	return 0, false
}
