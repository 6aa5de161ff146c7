package engine

import (
	"cmp"
	"encoding/binary"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

const (
	// maxAttributes is how many attributes a workflow may declare.
	maxAttributes    = 20
	defaultRetention = 7 * 24 * time.Hour
)

// attributeType is a WorkflowAttribute.Type of the schema.
type attributeType byte

const (
	typeString attributeType = 0
	typeNumber attributeType = 1
	typeBool   attributeType = 2
	typeTime   attributeType = 3
)

// definition is an edri.v1.DefineWorkflow, and the row of a workflow: version, then the
// message as it came.
type definition struct {
	name           []byte
	version        uint32
	description    []byte
	attributes     []attribute
	retentionAge   int64
	retentionCount uint64

	wire []byte
}

type attribute struct {
	name []byte
	typ  attributeType
}

func decodeDefinition(b []byte) (definition, error) {
	d := definition{wire: b}
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetBytes(&d.name)
		case 2:
			f.SetUint32(&d.version)
		case 3:
			f.SetBytes(&d.description)
		case 4:
			if f.WantBytes() {
				a, err := decodeAttribute(f.Bytes)
				f.Fail(err)
				d.attributes = append(d.attributes, a)
			}
		case 5:
			f.SetInt64(&d.retentionAge)
		case 6:
			f.SetUint64(&d.retentionCount)
		default:
			f.Unknown()
		}
	}
	return d, f.Err()
}

func decodeAttribute(b []byte) (attribute, error) {
	var a attribute
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetBytes(&a.name)
		case 2:
			if f.Within(uint64(typeTime)) {
				a.typ = attributeType(f.Value)
			}
		default:
			f.Unknown()
		}
	}
	return a, f.Err()
}

// attribute returns the type of an attribute, false if the workflow has none of the name.
func (d *definition) attribute(name string) (attributeType, bool) {
	for _, a := range d.attributes {
		if string(a.name) == name {
			return a.typ, true
		}
	}
	return 0, false
}

// keep is how long an ended run is known.
func (d *definition) keep() int64 { return cmp.Or(d.retentionAge, int64(defaultRetention)) }

// define executes define_workflow.
func (w *work) define(d definition) ([]byte, error) {
	have, found, err := w.definition(d.name)
	if err != nil {
		return nil, err
	}
	if found && have.version > d.version {
		return nil, event.Errorf(event.CodeExists, "workflow %s has version %d; %d is older", d.name, have.version, d.version)
	}
	w.tx.Put(nameKey(kindDefinition, d.name), append([]byte{rowVersion}, d.wire...))
	return defined(d.version), nil
}

// definition returns what is known of a workflow.
func (w *work) definition(name []byte) (d definition, found bool, err error) {
	row, err := w.tx.Get(nameKey(kindDefinition, name))
	if row == nil || err != nil {
		return d, false, err
	}
	d, err = parseDefinition(append([]byte(nil), row...))
	return d, err == nil, err
}

func parseDefinition(row []byte) (definition, error) {
	b := wire.ReadRow(row)
	b.Version(rowVersion)
	message := b.Rest()
	if err := b.Done(errRow, "workflow"); err != nil {
		return definition{}, err
	}
	d, err := decodeDefinition(message)
	if err != nil {
		err = errRow
	}
	return d, err
}

// endedCount returns how many ended runs of a workflow are known.
func (w *work) endedCount(typ []byte) (uint64, error) {
	row, err := w.tx.Get(nameKey(kindEndedCount, typ))
	if row == nil || err != nil {
		return 0, err
	}
	b := wire.ReadRow(row)
	n := b.BE8()
	return n, b.Done(errRow, "number of ended runs")
}

func (w *work) putEndedCount(typ []byte, n uint64) {
	if key := nameKey(kindEndedCount, typ); n == 0 {
		w.tx.Delete(key)
	} else {
		w.tx.Put(key, binary.BigEndian.AppendUint64(nil, n))
	}
}
