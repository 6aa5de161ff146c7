package cron

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/jsonwrite"
	"github.com/edri-io/edri/timers"
)

// TypeAppendFailed is the type of the event that tells that a delayed event could not be
// appended, and StreamDelayed its stream.
const (
	TypeAppendFailed = "edri.append.failed"
	StreamDelayed    = "edri/delayed"
)

// identityBytes are those of a fingerprint that stand for source and id; the others
// stand for the content.
const identityBytes = 16

// laterRow is the row of an event that waits to be appended, under its identity:
//
//	version | BE8 at | BE8 timer | 8 bytes digest | uvarint length, stream | event
type laterRow struct {
	at     int64
	timer  uint64
	digest [8]byte
	stream []byte
	event  []byte
}

func (l *laterRow) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, rowVersion), uint64(l.at))
	dst = append(binary.BigEndian.AppendUint64(dst, l.timer), l.digest[:]...)
	return append(appendText(dst, l.stream), l.event...)
}

// parseLater reads a row, which stream and event alias.
func parseLater(row []byte) (laterRow, error) {
	r := reader{rest: row}
	r.version()
	l := laterRow{at: int64(r.be8()), timer: r.be8()}
	binary.BigEndian.PutUint64(l.digest[:], r.be8())
	l.stream = r.text()
	l.event, r.rest = r.rest, nil
	return l, r.done("delayed event")
}

// laterKey returns the key of an event's row, and its digest.
func laterKey(h *event.Header) (key []byte, digest [8]byte) {
	f := h.Fingerprint().AppendTo(nil)
	copy(digest[:], f[identityBytes:])
	return append([]byte{kindLater}, f[:identityBytes]...), digest
}

// laterKeyOf is laterKey for an event of which only the identity is known.
func laterKeyOf(source, id []byte) ([]byte, error) {
	e := event.Event{Source: string(source), ID: string(id), Type: "any"}
	b, err := event.AppendValid(nil, &e)
	if err != nil {
		return nil, err
	}
	h, err := event.ScanHeader(b)
	key, _ := laterKey(&h)
	return key, err
}

// appendLater executes append_later.
func (m *Machine) appendLater(tx *consensus.Tx, o laterOp) ([]byte, error) {
	h, err := event.ScanHeader(o.event)
	if err != nil {
		return nil, fmt.Errorf("%w: delayed event: %v", consensus.ErrUndecodable, err)
	}
	key, digest := laterKey(&h)
	row, err := tx.Get(key)
	if err != nil {
		return nil, err
	}
	if row != nil {
		was, err := parseLater(row)
		if err != nil {
			return nil, err
		}
		if was.digest != digest || was.at != o.at || string(was.stream) != string(o.stream) {
			return nil, event.Errorf(event.CodeIDConflict, "another event with source %q and id %q waits to be appended at %s", h.Source, h.ID, formatTime(was.at))
		}
		return appendsLater(o.at, true), nil
	}
	t := m.timers.Set(tx, m, o.at, key)
	l := laterRow{at: t.Due, timer: t.Number, digest: digest, stream: o.stream, event: o.event}
	tx.Put(key, l.append(nil))
	return appendsLater(o.at, false), nil
}

// appendsLater is an edri.v1.OpResult with appends_later.
func appendsLater(at int64, duplicate bool) []byte {
	body := appendUint(nil, 1, uint64(at))
	return appendMessage(nil, 33, appendUint(body, 2, flag(duplicate)))
}

// cancelLater executes cancel_later.
func (m *Machine) cancelLater(tx *consensus.Tx, o cancelOp) ([]byte, error) {
	key, err := laterKeyOf(o.source, o.id)
	if err != nil {
		return nil, fmt.Errorf("%w: cancel: %v", consensus.ErrUndecodable, err)
	}
	row, err := tx.Get(key)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, event.Errorf(event.CodeNotFound, "no event with source %q and id %q waits to be appended", o.source, o.id)
	}
	l, err := parseLater(row)
	if err != nil {
		return nil, err
	}
	m.timers.Cancel(tx, timers.Timer{Due: l.at, Number: l.timer})
	tx.Delete(key)
	return nil, nil
}

// Fire implements timers.Owner: an event is to be appended.
func (m *Machine) Fire(tx *consensus.Tx, _ timers.Timer, key []byte) error {
	row, err := tx.Get(key)
	if err != nil {
		return err
	}
	l, err := parseLater(append([]byte(nil), row...))
	if err != nil {
		return err
	}
	tx.Delete(key)
	_, _, err = tx.Append(string(l.stream), event.ExpectAny, l.event)
	var refused *event.Error
	if !errors.As(err, &refused) {
		return err
	}
	h, err := event.ScanHeader(l.event)
	if err != nil {
		return err
	}
	var data jsonwrite.Object
	data.String("source", string(h.Source)).String("id", string(h.ID)).String("stream", string(l.stream)).String("reason", refused.Error())
	return appendOwn(tx, StreamDelayed, TypeAppendFailed, fmt.Sprintf("delayed/%d", l.timer), data.Done())
}
