package event

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

func validEvent() Event { return Event{ID: "1", Source: "/s", Type: "t"} }

// field is a length-delimited field.
func field(num protowire.Number, body string) string {
	b := protowire.AppendTag(nil, num, protowire.BytesType)
	return string(protowire.AppendString(b, body))
}

// number is a varint field.
func number(num protowire.Number, v uint64) string {
	return string(protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v))
}

func entry(name, value string) string { return field(fieldAttributes, field(1, name)+field(2, value)) }

func attr(name, value string) string { return entry(name, field(3, value)) }

const required = "\x0a\x011\x12\x02/s\x1a\x031.0\x22\x01t"

func TestCheckEncodedRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxNameBytes+1)
	many := required
	for i := range MaxAttributes + 1 {
		many += attr(strings.Repeat("a", i+1), "v")
	}
	tests := map[string]struct {
		encoded string
		want    string // in the error
		code    Code
	}{
		"nothing":                 {"", "specversion: is missing", CodeInvalid},
		"no id":                   {required[3:], "id: is missing", CodeInvalid},
		"empty id":                {"\x0a\x00" + required[3:], "id: is missing", CodeInvalid},
		"no source":               {required[:3] + required[7:], "source: is missing", CodeInvalid},
		"no specversion":          {required[:7] + required[12:], "specversion: is missing", CodeInvalid},
		"specversion 0.3":         {strings.Replace(required, "1.0", "0.3", 1), `specversion "0.3"`, CodeInvalid},
		"no type":                 {required[:12], "type: is missing", CodeInvalid},
		"id twice":                {required + field(1, "2"), "field 1 appears twice", CodeInvalid},
		"specversion twice":       {required + field(3, "1.0"), "field 3 appears twice", CodeInvalid},
		"data twice":              {required + field(6, "a") + field(7, "b"), "field 7 appears twice", CodeInvalid},
		"unknown field":           {required + field(9, "a"), "unknown field 9", CodeInvalid},
		"field of a varint":       {required + number(1, 5), "wire type 0", CodeInvalid},
		"cut off":                 {required[:len(required)-1], "malformed", CodeInvalid},
		"proto_data":              {required + field(8, ""), "proto_data", CodeInvalid},
		"text_data not UTF-8":     {required + field(7, "\xff"), `text_data: is not UTF-8 at byte 0, "\xff"`, CodeInvalid},
		"too much data":           {required + field(6, strings.Repeat("x", 101)), "101 is more than 100", CodeTooLarge},
		"long id":                 {field(1, long) + required[3:], "longer than 255", CodeInvalid},
		"control character in id": {field(1, "a\nb") + required[3:], `id "a\nb": has the character U+000A at byte 1`, CodeInvalid},
		"C1 character in id":      {field(1, "\u0085") + required[3:], `U+0085`, CodeInvalid},
		"noncharacter in id":      {field(1, "\ufffe") + required[3:], `U+FFFE`, CodeInvalid},
		"id not UTF-8":            {field(1, "a\xff") + required[3:], `id "a\xff": is not UTF-8`, CodeInvalid},
		"source with a space":     {strings.Replace(required, "/s", " s", 1), `source " s": the character ' '`, CodeInvalid},
		"subject not UTF-8":       {required + attr("subject", "\xc3"), `subject "\xc3"`, CodeInvalid},
		"empty subject":           {required + attr("subject", ""), "subject: is empty", CodeInvalid},
		"long subject":            {required + attr("subject", long), "longer than 255", CodeInvalid},
		"time as a string":        {required + attr("time", "2026-01-01T00:00:00Z"), "time: is of type string, want timestamp", CodeInvalid},
		"zero time":               {required + entry("time", field(7, number(1, uint64(1<<64-62135596800)))), "stands for no time", CodeInvalid},
		"time after year 9999":    {required + entry("time", field(7, number(1, 1<<40))), "years 1 to 9999", CodeInvalid},
		"nanoseconds of 1e9":      {required + entry("time", field(7, number(2, 1e9))), "1000000000 nanoseconds", CodeInvalid},
		"seconds twice":           {required + entry("time", field(7, number(1, 5)+number(1, 6))), "timestamp is malformed", CodeInvalid},
		"dataschema relative":     {required + entry("dataschema", field(5, "a/b")), "not an absolute URI", CodeInvalid},
		"dataschema as a string":  {required + attr("dataschema", "a:b"), "want URI", CodeInvalid},
		"content type":            {required + attr("datacontenttype", "json"), `datacontenttype "json": is not a media type`, CodeInvalid},
		"attribute twice":         {required + attr("a", "1") + attr("b", "1") + attr("a", "2"), `attribute "a": appears twice`, CodeInvalid},
		"attribute without name":  {required + field(5, field(2, field(3, "x"))), "has no name", CodeInvalid},
		"attribute without value": {required + field(5, field(1, "x")), `attribute "x": has no value`, CodeInvalid},
		"attribute with two":      {required + entry("x", field(3, "a")+field(3, "b")), "malformed or there are two", CodeInvalid},
		"attribute of no type":    {required + entry("x", field(8, "a")), "unknown type 8", CodeInvalid},
		"attribute of type 257":   {required + entry("x", field(257, "a")), "malformed", CodeInvalid},
		"string as a varint":      {required + entry("x", number(3, 1)), "malformed", CodeInvalid},
		"key twice":               {required + field(5, field(1, "a")+field(1, "a")+field(2, field(3, "v"))), "repeated field 1", CodeInvalid},
		"upper-case name":         {required + attr("fooBar", "v"), `attribute "fooBar"`, CodeInvalid},
		"name with underscore":    {required + attr("foo_bar", "v"), `attribute "foo_bar"`, CodeInvalid},
		"long name":               {required + attr(long, "v"), "1 to 255", CodeInvalid},
		"reserved name data":      {required + attr("data", "v"), "reserved", CodeInvalid},
		"reserved name id":        {required + attr("id", "v"), "reserved", CodeInvalid},
		"attribute of the server": {required + attr("edriposition", "1"), "edriposition: is set by the server alone", CodeInvalid},
		"integer of 33 bits":      {required + entry("x", number(2, 1<<31)), "2147483648 has more than 32 bits", CodeInvalid},
		"boolean 2":               {required + entry("x", number(1, 2)), "boolean 2", CodeInvalid},
		"control in a string":     {required + attr("x", "a\tb"), `x "a\tb"`, CodeInvalid},
		"relative URI":            {required + entry("x", field(5, "a")), "not an absolute URI", CodeInvalid},
		"bad URI reference":       {required + entry("x", field(6, "%zz")), `x "%zz"`, CodeInvalid},
		"correlation of bytes":    {required + entry("correlationid", field(4, "a")), "want string", CodeInvalid},
		"empty correlation":       {required + attr("correlationid", ""), "correlationid: is missing", CodeInvalid},
		"unknown kind":            {required + attr("edrikind", "order"), `edrikind "order"`, CodeInvalid},
		"too many attributes":     {many, "65 is more than 64", CodeTooLarge},
		"too large attributes":    {required + attr("x", strings.Repeat("x", MaxAttributesBytes)), "is more than 65536", CodeTooLarge},
		"long value is cut":       {required + attr("x", strings.Repeat("é", 500)+"\n"), "… (1001 bytes)", CodeInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := CheckEncoded([]byte(test.encoded), 100)
			var typed *Error
			if !errors.As(err, &typed) || typed.Code != test.code || !strings.Contains(typed.Message, test.want) {
				t.Fatalf("got %v, want %s with %q", err, test.code, test.want)
			}
			if len(typed.Message) > 300 {
				t.Errorf("message of %d bytes", len(typed.Message))
			}
			if test.code == CodeTooLarge && (typed.Size <= typed.Max || typed.Max == 0) {
				t.Errorf("size %d, max %d", typed.Size, typed.Max)
			}
		})
	}
}

func TestCheckEncodedAccepts(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"required attributes": required,
		"fields in any order": required[7:] + required[:7],
		"empty data":          required + field(6, ""),
		"names of 255 bytes":  required + attr(strings.Repeat("a", 255), "v") + attr("subject", strings.Repeat("é", 127)),
		"empty extension":     required + attr("x", ""),
		"value before name":   required + field(5, field(2, field(3, "v"))+field(1, "x")),
		"time in 1970":        required + entry("time", field(7, "")),
		"negative integer":    required + entry("x", number(2, 1<<64-5)),
	}
	for name, encoded := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := CheckEncoded([]byte(encoded), 100); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*Event)
		want   string
	}{
		"no id":                {func(e *Event) { e.ID = "" }, "invalid: id: is missing"},
		"bad source":           {func(e *Event) { e.Source = "a b" }, `invalid: source "a b"`},
		"reserved extension":   {func(e *Event) { e.extend("time", String("x")) }, "invalid: extension \"time\": the name is reserved"},
		"extension of no type": {func(e *Event) { e.extend("x", Value{}) }, `invalid: attribute "x": has no value`},
		"server's extension":   {func(e *Event) { e.extend(AttrStamp, String("x")) }, "invalid: attribute edristamp"},
		"time in year 10000":   {func(e *Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "invalid: attribute \"time\""},
		"too much data":        {func(e *Event) { e.Data = make([]byte, MaxDataBytes+1) }, "too_large: event data in bytes: 1048577 is more than 1048576"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := validEvent()
			e.Extensions = maps.Clone(e.Extensions)
			test.change(&e)
			if err := e.Validate(); err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestCheckingDoesNotAllocate(t *testing.T) {
	e := benchEvent()
	e.Extensions = map[string]Value{
		AttrCorrelation: String("c"), "n": Integer(7), "at": Timestamp(time.Unix(1, 2)), "flag": Bool(true),
	}
	encoded := AppendEvent(nil, e)
	backwards := []byte(attr("x", "1") + attr("b", "2") + required)
	for name, run := range map[string]func(){
		"ScanHeader":             func() { _, _ = ScanHeader(encoded) },
		"CheckEncoded":           func() { _, _ = CheckEncoded(encoded, MaxDataBytes) },
		"CheckEncoded, unsorted": func() { _, _ = CheckEncoded(backwards, MaxDataBytes) },
	} {
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	if _, err := CheckEncoded(backwards, MaxDataBytes); err != nil {
		t.Error(err)
	}
}
