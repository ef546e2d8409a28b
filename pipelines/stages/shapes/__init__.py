"""Stages that give a row the shape trainers read: conversations, calls of tools, spans, answers."""
