# SPDX-License-Identifier: Apache-2.0
"""A book shop's tables, of most kinds of fields that Django has for PostgreSQL."""
import datetime
import uuid

import django
from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, IntegerRangeField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower


class Base(models.Model):
    class Meta:
        abstract = True
        app_label = "shop"


class Publisher(Base):
    name = models.CharField(max_length=100, unique=True)
    founded = models.DateField(null=True)


class Author(Base):
    name = models.CharField(max_length=100, db_index=True)
    email = models.EmailField(blank=True)
    age = models.PositiveSmallIntegerField(null=True)
    friends = models.ManyToManyField("self", blank=True)


class Tag(Base):
    key = models.UUIDField(primary_key=True, default=uuid.uuid4)
    label = models.SlugField(unique=True)


class Book(Base):
    title = models.CharField(max_length=200)
    publisher = models.ForeignKey(Publisher, models.CASCADE, related_name="books")
    authors = models.ManyToManyField(Author, related_name="books")
    tags = models.ManyToManyField(Tag)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    rating = models.FloatField(default=0)
    pages = models.IntegerField(default=100)
    is_sold = models.BooleanField(default=False)
    published = models.DateTimeField(default=datetime.datetime.now)
    data = models.JSONField(default=dict)
    words = ArrayField(models.CharField(max_length=20), default=list)
    span = IntegerRangeField(null=True)
    valid = DateTimeRangeField(null=True)
    length = models.DurationField(null=True)
    raw = models.BinaryField(default=b"")
    address = models.GenericIPAddressField(null=True)

    class Meta(Base.Meta):
        indexes = [models.Index(fields=["title", "-published"]), GinIndex(fields=["words"]), models.Index(Lower("title"), name="lower_title"),
                   models.Index(fields=["price"], condition=Q(is_sold=False), name="unsold")]
        constraints = [models.CheckConstraint(condition=Q(price__gte=0), name="price_not_negative")
                       if django.VERSION >= (5, 1) else models.CheckConstraint(check=Q(price__gte=0), name="price_not_negative"),
                       models.UniqueConstraint(fields=["title", "publisher"], name="one_title")]
        ordering = ["title"]


class Review(Base):
    book = models.ForeignKey(Book, models.CASCADE, related_name="reviews")
    writer = models.ForeignKey(User, models.SET_NULL, null=True)
    stars = models.IntegerField()
    text = models.TextField()
    created = models.DateTimeField(auto_now_add=True)


class Special(Book):
    note = models.CharField(max_length=10)

    class Meta(Base.Meta):
        ordering = ["pk"]
