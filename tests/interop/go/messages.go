package main

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// message makes one of asynq's protobuf messages. Their Go package is internal, but registers them by name.
func message(name string) (proto.Message, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("asynq." + name))
	if err != nil {
		return nil, err
	}
	return kind.New().Interface(), nil
}

func decode(name string) error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	data, err := hex.DecodeString(strings.TrimSpace(string(input)))
	if err != nil {
		return err
	}
	m, err := message(name)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(data, m); err != nil {
		return err
	}
	fields, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return err
	}
	emit(json.RawMessage(fields))
	return nil
}

func encode(name string) error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	m, err := message(name)
	if err != nil {
		return err
	}
	if err := protojson.Unmarshal(input, m); err != nil {
		return err
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	emit(map[string]any{"hex": hex.EncodeToString(data)})
	return nil
}
