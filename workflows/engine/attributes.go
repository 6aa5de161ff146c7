package engine

import (
	"encoding/binary"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/jsonwrite"
	"github.com/edri-io/edri/internal/wire"
)

// Fields of the index beside the attributes, whose names cannot have a dot.
const (
	fieldStatus = ".status"
	fieldType   = ".type"
)

// value is an attribute's value: one of string, float64, bool and int64 (a time, in
// nanoseconds since 1970).
type value any

// parseAttributes reads attributes as they are given, a JSON object, and holds them to
// what the workflow declares. A nil value removes an attribute.
func (d *definition) parseAttributes(text []byte) (map[string]value, error) {
	if len(text) == 0 {
		return nil, nil
	}
	given := map[string]jsonValue{} // of a name that comes twice the last counts
	if !members(text, func(name, v jsonValue) { given[name.text()] = v }) {
		return nil, invalid("attributes: is no JSON object")
	}
	values := make(map[string]value, len(given))
	for _, name := range slices.Sorted(maps.Keys(given)) {
		typ, ok := d.attribute(name)
		if !ok {
			// %+q, since what %q takes for printable is another with each version of Unicode.
			return nil, invalid("attributes: workflow %s declares no attribute %+q", d.name, name)
		}
		v, err := typ.value(name, given[name])
		if err != nil {
			return nil, err
		}
		values[name] = v
	}
	return values, nil
}

// value returns what a JSON value is as one of the type.
func (t attributeType) value(name string, given jsonValue) (value, error) {
	switch {
	case given.kind == 'n':
		return nil, nil
	case given.kind == '"' && t == typeString:
		text := given.text()
		if len(text) > event.MaxNameBytes {
			return nil, event.TooLarge("attribute "+name+" in bytes", int64(len(text)), event.MaxNameBytes)
		}
		return text, nil
	case given.kind == '"' && t == typeTime:
		text := given.text()
		at, ok := readTime(text)
		if !ok {
			return nil, invalid("attribute %s: %+q is no time of RFC 3339", name, text)
		}
		if at.Before(time.Unix(0, math.MinInt64)) || at.After(time.Unix(0, math.MaxInt64)) {
			return nil, invalid("attribute %s: %+q is not within 1678 and 2261", name, text)
		}
		return at.UnixNano(), nil
	case given.kind == '0' && t == typeNumber:
		f, err := strconv.ParseFloat(string(given.raw), 64)
		if err != nil {
			return nil, invalid("attribute %s: is beyond what a number can be", name)
		}
		return positiveZero(f), nil
	case (given.kind == 't' || given.kind == 'f') && t == typeBool:
		return given.kind == 't', nil
	}
	return nil, invalid("attribute %s: is no %s", name, typeNames[t])
}

var timeText = regexp.MustCompile(`^(\d{4})-(\d\d)-(\d\d)T(\d\d?):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$`)

// readTime reads a time of RFC 3339. It takes what time.Parse of Go 1.26 took beyond that,
// an hour of one digit and a comma, for the same reason as jsonReader.
func readTime(text string) (time.Time, bool) {
	part := timeText.FindStringSubmatch(text)
	if part == nil {
		return time.Time{}, false
	}
	n := func(i int) int { v, _ := strconv.Atoi(part[i]); return v } // digits, or none
	nanos, _ := strconv.Atoi((part[7] + "000000000")[:9])
	t := time.Date(n(1), time.Month(n(2)), n(3), n(4), n(5), n(6), nanos, time.UTC)
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	if year != n(1) || int(month) != n(2) || day != n(3) || hour != n(4) || minute != n(5) || second != n(6) {
		return time.Time{}, false // there is no such day, or time
	}
	if n(9) > 24 || n(10) > 60 {
		return time.Time{}, false
	}
	offset := time.Duration(n(9))*time.Hour + time.Duration(n(10))*time.Minute
	if part[8] == "-" {
		offset = -offset
	}
	return t.Add(-offset), true
}

// positiveZero is a number, of whose zeros there is one: they are equal, and must be found
// as such.
func positiveZero(f float64) float64 {
	if f == 0 {
		return 0
	}
	return f
}

var typeNames = [...]string{"string", "number", "bool", "time"}

// indexKey is the row by which a run is found: kind, field, 0, value in the order of
// values, BE8 number.
func indexKey(field string, v value, number uint64) []byte {
	return binary.BigEndian.AppendUint64(indexPrefix(field, v), number)
}

func indexPrefix(field string, v value) []byte { return appendValue(fieldPrefix(field), v) }

func fieldPrefix(field string) []byte { return append(append([]byte{kindIndex}, field...), 0) }

// appendValue appends a value so that the order of bytes is that of values, and none is
// the beginning of another.
func appendValue(dst []byte, v value) []byte {
	switch v := v.(type) {
	case string:
		return append(appendTextPrefix(dst, v), 0, 1)
	case float64:
		bits := math.Float64bits(v)
		if v < 0 || bits == 1<<63 {
			bits = ^bits
		} else {
			bits |= 1 << 63
		}
		return binary.BigEndian.AppendUint64(dst, bits)
	case int64:
		return binary.BigEndian.AppendUint64(dst, uint64(v)^1<<63)
	case bool:
		if v {
			return append(dst, 1)
		}
		return append(dst, 0)
	}
	panic("engine: value of another type")
}

// appendTextPrefix appends a text as it begins every key of one that begins with it.
func appendTextPrefix(dst []byte, text string) []byte {
	for i := range len(text) {
		if dst = append(dst, text[i]); text[i] == 0 {
			dst = append(dst, 255)
		}
	}
	return dst
}

// index makes a new run one that is found.
func (w *work) index(r *run, values map[string]value) {
	w.indexStatus(r)
	w.tx.Put(indexKey(fieldType, string(r.typ), r.number), []byte{rowVersion})
	for _, name := range slices.Sorted(maps.Keys(values)) {
		w.tx.Put(indexKey(name, values[name], r.number), []byte{rowVersion})
	}
}

func (w *work) indexStatus(r *run) {
	w.tx.Put(indexKey(fieldStatus, r.status.String(), r.number), []byte{rowVersion})
}

func (w *work) unindexStatus(r *run) {
	w.tx.Delete(indexKey(fieldStatus, r.status.String(), r.number))
}

// unindex makes a run one that is not found any more.
func (w *work) unindex(r *run, values map[string]value) {
	w.unindexStatus(r)
	w.tx.Delete(indexKey(fieldType, string(r.typ), r.number))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		w.tx.Delete(indexKey(name, values[name], r.number))
	}
}

// changeAttributes executes set_attributes.
func (w *work) changeAttributes(r *run, text []byte) error {
	d, _, err := w.definition(r.typ)
	if err != nil {
		return err
	}
	changes, err := d.parseAttributes(text)
	if err != nil {
		return err
	}
	kept, err := w.details(r.number)
	if err != nil {
		return err
	}
	if kept.attributes == nil {
		kept.attributes = map[string]value{}
	}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		if old, ok := kept.attributes[name]; ok {
			w.tx.Delete(indexKey(name, old, r.number))
			delete(kept.attributes, name)
		}
		if v := changes[name]; v != nil {
			kept.attributes[name] = v
			w.tx.Put(indexKey(name, v, r.number), []byte{rowVersion})
		}
	}
	w.tx.Put(numberKey(kindDetails, r.number), kept.append(nil))
	return nil
}

// appendValues is the row of attributes: count, each name, type, value as in the index.
// The type is that which the workflow declared when the value was set.
func appendValues(dst []byte, values map[string]value) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		dst = wire.AppendText(dst, name)
		switch v := values[name].(type) {
		case string:
			dst = wire.AppendText(append(dst, byte(typeString)), v)
		case float64:
			dst = binary.BigEndian.AppendUint64(append(dst, byte(typeNumber)), math.Float64bits(v))
		case bool:
			dst = append(dst, byte(typeBool), flag(v))
		case int64:
			dst = binary.BigEndian.AppendUint64(append(dst, byte(typeTime)), uint64(v))
		}
	}
	return dst
}

func readValues(b *wire.Row) map[string]value {
	n := b.Uvarint()
	if n == 0 {
		return nil
	}
	values := map[string]value{}
	for ; n > 0 && b.More(); n-- {
		name := string(b.Text())
		switch attributeType(b.Byte()) {
		case typeString:
			values[name] = string(b.Text())
		case typeNumber:
			values[name] = math.Float64frombits(b.BE8())
		case typeBool:
			values[name] = b.Byte() != 0
		case typeTime:
			values[name] = int64(b.BE8())
		default:
			b.Fail()
		}
	}
	return values
}

// valuesJSON returns attributes as they are given and shown, nil without any.
func valuesJSON(values map[string]value) []byte {
	if len(values) == 0 {
		return nil
	}
	var o jsonwrite.Object
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch v := values[name].(type) {
		case string:
			o.JSON(name, event.AppendQuoted(nil, v))
		case float64:
			o.JSON(name, strconv.AppendFloat(nil, v, 'g', -1, 64))
		case bool:
			o.JSON(name, strconv.AppendBool(nil, v))
		case int64:
			o.JSON(name, event.AppendQuoted(nil, time.Unix(0, v).UTC().Format(time.RFC3339Nano)))
		}
	}
	return o.Done()
}
