package engine

import "github.com/edri-io/edri/internal/jsonwrite"

// failure is a workflows.Error.
func failure(typ, message string) []byte {
	var o jsonwrite.Object
	return o.Text("type", []byte(typ)).Text("message", []byte(message)).Done()
}

// seqData is a workflows.Seq.
func seqData(seq uint64) []byte {
	var o jsonwrite.Object
	return o.Number("seq", seq).Done()
}

// noteData is a workflows.Note.
func noteData(reason, details []byte) []byte {
	var o jsonwrite.Object
	return o.Text("reason", reason).JSON("details", details).Done()
}
